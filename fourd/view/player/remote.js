// For scenes that are too large for this machine: the server draws, and its pictures are shown here. These two stand in
// the places of worker and renderer, so that all else stays as it is.
import { Broken } from "./broken.js";

async function ask(name, what) {
  const answer = await fetch(`${name}?${encodeURIComponent(JSON.stringify(what))}`).catch(() => null);
  if (answer?.ok) return answer;
  throw new Broken("The server draws no more pictures.", answer ? await answer.text() : "Is `fourd view` still running?");
}

/** Reads a file that holds all but the splats; `facts` says how many there are. */
export class RemoteWorker {
  constructor(worker, facts) {
    this.worker = worker;
    worker.onerror = (event) => this.onerror(event);
    worker.onmessage = ({ data }) => {
      if (data.kind === "scene") data.facts.splats = facts.splats;
      if (data.kind === "filled") Object.assign(data, { count: facts.splats, invented: facts.invented });
      this.onmessage({ data });
    };
  }

  async postMessage({ kind, id, camera, ...more }) {
    if (kind === "open") return this.worker.postMessage({ kind, ...more });
    const said = { kind: kind === "sort" ? "order" : kind, id, buffer: new ArrayBuffer(0), count: 0 };
    try {
      if (kind === "focus") said.found = await (await ask("focus", { ...camera, ...more })).json();
    } catch (error) {
      Object.assign(said, { kind: "failed", message: error.message, todo: error.todo });
    }
    queueMicrotask(() => this.onmessage({ data: said }));
  }
}

/** Shows the latest picture; only one is asked for at a time. */
export class RemoteRenderer {
  /** @param {() => Viewer} viewer hears of pictures that fail, or are slow */
  constructor(canvas, viewer) {
    this.context = canvas.getContext("2d");
    this.viewer = viewer;
    this.depthRange = [0.5, 5];
    this.name = Math.random().toString(36);
    this.number = this.shown = 0;
  }

  allocate() {}

  setOrder() {}

  busy() {
    return this.number > this.shown;
  }

  async #fetch({ pose, ...what }) {
    const { name: viewer, depthRange: range } = this;
    const number = ++this.number;
    const answer = await ask("frame", { ...pose, ...what, range, viewer, number });
    // Who asked for something newer meanwhile gets no picture.
    return { number, picture: answer.status === 200 ? await createImageBitmap(await answer.blob()) : null };
  }

  async draw(what) {
    const since = performance.now();
    try {
      const { number, picture } = await this.#fetch(what);
      if (number < this.shown) return;
      const { canvas } = this.context;
      if (picture) this.context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      this.shown = number;
      const seconds = (performance.now() - since) / 1000;
      if (seconds > 1) this.viewer().tell("slow", { seconds });
    } catch (error) {
      this.viewer().fail(error.message, error.todo);
    }
  }

  /** The pixels of a picture, as those of `Renderer`, but over the player's ground. */
  async picture(what) {
    const { h, w } = what.lens;
    const { number, picture } = await this.#fetch(what);
    this.shown = Math.max(this.shown, number);
    const context = new OffscreenCanvas(w, h).getContext("2d");
    context.drawImage(picture, 0, 0);
    return new Uint8Array(context.getImageData(0, 0, w, h).data.buffer);
  }
}
