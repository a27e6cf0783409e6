// WebGL2: holds the splats' textures and draws them at a moment, from a camera, back to front.
import { Broken } from "./broken.js";
import { view } from "./camera.js";
import { RESOLVE_FRAGMENT, RESOLVE_VERTEX, SPLAT_FRAGMENT, splatVertex } from "./shaders.js";
import { WIDTH } from "./store.js";

export const NEAR_M = 0.01;
export const EPS2D_PX = 0.05;
export const MODES = ["colour", "depth", "source"];
const UNITS = { place: 0, life: 1, shape: 2, tint: 3, sheen: 4, order: 5 };
const PICTURE_UNIT = 6;
/** Splats of one instance: an instance of one quad each would keep most cards idle. */
const BATCH = 1024;

/** As `make_camera` of splat.h has it. */
function limits({ fx, fy, cx, cy, skew, h, w }) {
  const [beyondX, beyondY] = [(0.15 * w) / fx, (0.15 * h) / fy];
  const bounds = [-cx / fx - beyondX, (w - cx) / fx + beyondX, -cy / fy - beyondY, (h - cy) / fy + beyondY];
  const stretch = Math.max(1, ...bounds.map(Math.abs));
  return { bounds, scale_max: 1e8 / (stretch * Math.max(fx, fy, Math.abs(skew))) };
}

export class Renderer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
    if (!gl) {
      throw new Broken(
        "This browser does not offer WebGL 2, with which the player draws.",
        "Use a current browser, or switch hardware acceleration on in its settings.",
      );
    }
    this.gl = gl;
    this.canvas = canvas;
    // Halves keep hundreds of thin layers apart; eight bits do not.
    this.fine = Boolean(gl.getExtension("EXT_color_buffer_float") || gl.getExtension("EXT_color_buffer_half_float"));
    this.splat = this.#program(splatVertex(BATCH), SPLAT_FRAGMENT);
    this.resolve = this.#program(RESOLVE_VERTEX, RESOLVE_FRAGMENT);
    this.textures = {};
    this.count = 0;
    this.background = [11, 12, 14].map((x) => x / 255); // As --ground and --accent of style.css.
    this.accent = [240, 169, 78].map((x) => x / 255);
    this.depthRange = [0.5, 5];
    this.orderRows = 0;
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    const corners = new Uint16Array(6 * BATCH);
    for (let i = 0; i < BATCH; i++) corners.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * i + corner), 6 * i);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    this.target = { texture: null, frame: gl.createFramebuffer(), h: 0, w: 0 };
    gl.disable(gl.DITHER);
  }

  #program(vertex, fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return { program };
  }

  /** Wait for a program, which drivers compile while the scene is read. */
  #check(each) {
    const { gl } = this;
    const { program } = each;
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      const log = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader)).join(" ");
      throw new Broken("The graphics driver refuses the player's program.", `${gl.getProgramInfoLog(program)} ${log}`.trim());
    }
    const uniforms = {};
    for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
      const { name } = gl.getActiveUniform(program, i);
      uniforms[name] = gl.getUniformLocation(program, name);
    }
    each.uniforms = uniforms;
  }

  /** Make empty textures. `layout` is what the worker says. */
  allocate({ textures, still, sheenTexels, coefficients }) {
    const { gl } = this;
    for (const each of [this.splat, this.resolve]) this.#check(each);
    const most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    Object.assign(this, { still, sheenTexels, coefficients });
    for (const [name, { rows, channels }] of Object.entries(textures)) {
      if (rows > most) {
        throw new Broken(
          "The scene has more splats than this graphics card can hold.",
          "Lift the clip at a smaller --size, or with --quality draft.",
        );
      }
      const format = channels === 2 ? gl.RG32UI : name in { place: 0, life: 0 } ? gl.RGBA32F : gl.RGBA32UI;
      this.#texture(name, format, rows);
    }
    const error = gl.getError();
    if (error === gl.OUT_OF_MEMORY) {
      throw new Broken("The graphics card has too little memory for this scene.", "Close other pages and try again.");
    }
  }

  /** Fill rows of a texture. */
  upload(name, row, array) {
    const { gl } = this;
    const channels = name === "tint" ? 2 : 4;
    const float = array instanceof Float32Array;
    const format = float ? gl.RGBA : channels === 2 ? gl.RG_INTEGER : gl.RGBA_INTEGER;
    gl.activeTexture(gl.TEXTURE0 + UNITS[name]);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    const rows = array.length / channels / WIDTH;
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row, WIDTH, rows, format, float ? gl.FLOAT : gl.UNSIGNED_INT, array);
  }

  /** Take a new order of drawing: an array of whole rows, of which the first `count` count. */
  setOrder(indices, count) {
    const { gl } = this;
    const rows = Math.ceil(count / WIDTH);
    gl.activeTexture(gl.TEXTURE0 + UNITS.order);
    if (rows > this.orderRows) {
      gl.deleteTexture(this.textures.order ?? null);
      this.orderRows = indices.length / WIDTH;
      this.#texture("order", gl.R32UI, this.orderRows);
    }
    gl.bindTexture(gl.TEXTURE_2D, this.textures.order ?? null);
    if (rows) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WIDTH, rows, gl.RED_INTEGER, gl.UNSIGNED_INT, indices);
    this.count = count;
  }

  #texture(name, format, rows) {
    const { gl } = this;
    this.textures[name] = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + UNITS[name]);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, WIDTH, rows);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);
  }

  #resize(h, w) {
    const { gl, target } = this;
    if (target.h === h && target.w === w) return;
    gl.deleteTexture(target.texture);
    target.texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + PICTURE_UNIT);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.fine ? gl.RGBA16F : gl.RGBA8, w, h);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.LINEAR);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target.texture, 0);
    Object.assign(target, { h, w });
  }

  /** Draw into the canvas; the lens is in pixels of what is drawn. */
  draw({ pose, lens, time_s, mode }) {
    const { gl } = this;
    if (!this.textures.place) return;
    this.#resize(lens.h, lens.w);
    this.#splats(pose, lens, time_s, MODES.indexOf(mode));
    this.#show(null, this.canvas.height, this.canvas.width, MODES.indexOf(mode), this.background);
    if (this.fence) gl.deleteSync(this.fence);
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
  }

  /** Whether the last picture is still being drawn: another would only queue up behind it. */
  busy() {
    const { gl } = this;
    if (!this.fence || gl.isContextLost()) return false;
    if (gl.getSyncParameter(this.fence, gl.SYNC_STATUS) !== gl.SIGNALED) return true;
    gl.deleteSync(this.fence);
    this.fence = null;
    return false;
  }

  /** The pixels of a picture: Uint8Array, RGBA, rows from the top, over black. */
  picture({ pose, lens, time_s, mode }) {
    const { gl } = this;
    const { h, w } = lens;
    this.#resize(h, w);
    this.#splats(pose, lens, time_s, MODES.indexOf(mode));
    const frame = gl.createFramebuffer();
    const buffer = gl.createRenderbuffer();
    gl.bindRenderbuffer(gl.RENDERBUFFER, buffer);
    gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA8, w, h);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, buffer);
    this.#show(frame, h, w, MODES.indexOf(mode), [0, 0, 0]);
    const upsideDown = new Uint8Array(4 * h * w);
    gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, upsideDown);
    gl.deleteFramebuffer(frame);
    gl.deleteRenderbuffer(buffer);
    const pixels = new Uint8Array(4 * h * w);
    for (let row = 0; row < h; row++) pixels.set(upsideDown.subarray(4 * w * (h - 1 - row), 4 * w * (h - row)), 4 * w * row);
    return pixels;
  }

  #splats(pose, lens, time_s, mode) {
    const { gl, splat: { program, uniforms: u } } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target.frame);
    gl.viewport(0, 0, lens.w, lens.h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.count || !this.textures.place) return;
    const rows = view(pose);
    const { bounds, scale_max } = limits(lens);
    gl.useProgram(program);
    for (const [name, unit] of Object.entries(UNITS)) {
      if (!(name in u)) continue;
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, this.textures[name] ?? this.textures.shape);
      gl.uniform1i(u[name], unit);
    }
    gl.uniformMatrix3fv(u.R, true, [0, 1, 2, 4, 5, 6, 8, 9, 10].map((i) => rows[i]));
    gl.uniform3fv(u.eye, pose.p);
    gl.uniform4f(u.lens, lens.fx, lens.fy, lens.cx, lens.cy);
    gl.uniform1f(u.skew, lens.skew);
    gl.uniform4fv(u.bounds, bounds);
    gl.uniform1f(u.scale_max, scale_max);
    gl.uniform2f(u.size, lens.w, lens.h);
    gl.uniform1f(u.near, NEAR_M);
    gl.uniform1f(u.eps2d, EPS2D_PX);
    gl.uniform1f(u.time_s, time_s);
    gl.uniform1ui(u.still, this.still);
    gl.uniform1i(u.coefficients, this.coefficients);
    gl.uniform1i(u.sheenTexels, this.sheenTexels);
    gl.uniform1i(u.mode, mode);
    gl.uniform1f(u.depth_unit, 1 / this.depthRange[0]); // Halves end at 65504.
    gl.uniform3fv(u.accent, this.accent);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.array);
    gl.uniform1ui(u.count, this.count);
    gl.drawElementsInstanced(gl.TRIANGLES, 6 * BATCH, gl.UNSIGNED_SHORT, 0, Math.ceil(this.count / BATCH));
    gl.bindVertexArray(null);
    gl.disable(gl.BLEND);
  }

  #show(frame, h, w, mode, background) {
    const { gl, resolve: { program, uniforms: u } } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.viewport(0, 0, w, h);
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE0 + PICTURE_UNIT);
    gl.bindTexture(gl.TEXTURE_2D, this.target.texture);
    gl.uniform1i(u.picture, PICTURE_UNIT);
    gl.uniform3fv(u.background, background);
    gl.uniform1i(u.mode, mode);
    gl.uniform2fv(u.inverse_range, this.depthRange.map((z) => this.depthRange[0] / z).reverse());
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}
