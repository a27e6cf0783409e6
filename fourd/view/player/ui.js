// Buttons, words and numbers around the picture.
import { attachKeys, attachPointer } from "./controls.js";

const IDLE_MS = 2800;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

const byId = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** Seconds as minutes, seconds and hundredths. */
export function clock(seconds) {
  const hundredths = Math.round(Math.max(0, seconds) * 100);
  const two = (x) => String(x).padStart(2, "0");
  return `${Math.floor(hundredths / 6000)}:${two(Math.floor(hundredths / 100) % 60)}.${two(hundredths % 100)}`;
}

/** Put an icon of the page's own into a button. */
function setIcon(button, name) {
  button.innerHTML = `<svg aria-hidden="true"><use href="#i-${name}"/></svg>`;
}

/** Join a player to the page. */
export function attach(player) {
  const canvas = byId("view");
  const slider = byId("slider");
  const { body } = document;
  body.classList.add("waiting");

  // --- words while it loads, and when it fails ---
  const cover = (title, text, share) => {
    byId("cover-title").textContent = title;
    byId("cover-text").textContent = text;
    if (share !== undefined) {
      byId("bar").firstElementChild.style.width = `${100 * share}%`;
      byId("bar").setAttribute("aria-valuenow", String(Math.round(100 * share)));
    }
  };
  let name = "The scene";
  player.addEventListener("scene", ({ detail: facts }) => {
    name = facts.name.split(/[\\/]/).pop() || "Scene";
    document.title = `${name} – fourd`;
    byId("name").textContent = name;
    const count = facts.splats.toLocaleString("en");
    byId("facts").textContent = `${count} splats · ${(facts.end_s - facts.start_s).toFixed(1)} s`;
    slider.min = facts.start_s;
    slider.max = facts.cameras[facts.cameras.length - 1].time_s;
    slider.disabled = facts.cameras.length < 2;
    byId("play").disabled = facts.cameras.length < 2;
  });
  player.addEventListener("progress", ({ detail: { done, total } }) => {
    const share = total ? done / total : 0;
    const text = total ? `${megabytes(done)} of ${megabytes(total)} MB` : `${megabytes(done)} MB`;
    cover(name, share < 1 ? `Reading  ${text}` : "Laying out the splats", share);
  });
  player.addEventListener("shown", ({ detail: { whole, count } }) => {
    if (!count && !whole) return;
    canvas.classList.add("shown");
    body.classList.remove("waiting");
    byId("cover").classList.add("gone");
    if (whole && !count) toast("This scene holds no splats.", true);
    else if (!whole) toast("Showing one moment while the rest is read", true);
    else hush();
  });
  player.addEventListener("slow", ({ detail: { seconds } }) => {
    toast(`The server takes ${seconds.toFixed(1)} s for a picture. A smaller window is quicker.`);
  });
  const failed = ({ message, todo }) => {
    cover(message, todo ?? "");
    byId("cover").classList.remove("gone");
    byId("cover").classList.add("failed");
    byId("bar").hidden = true;
    byId("again").hidden = false;
    body.classList.add("waiting");
  };
  player.addEventListener("failed", ({ detail }) => failed(detail));
  byId("again").addEventListener("click", () => location.reload());

  let toasting;
  const hush = () => byId("toast").classList.remove("shown");
  const toast = (text, stays = false) => {
    byId("toast").textContent = text;
    byId("toast").classList.add("shown");
    clearTimeout(toasting);
    if (!stays) toasting = setTimeout(hush, 2200);
  };

  // --- what buttons do ---
  const save = (blob, file) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: file });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const stem = () => name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "_") || "scene";
  const speed = (by) => {
    const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(player.speed) + by))];
    player.set({ speed: next });
    toast(`Speed ${next}×`);
  };
  const act = {
    play: () => {
      player.sound.allow();
      player.play();
    },
    loop: () => player.set({ loop: !player.loop }),
    sound: () => {
      player.sound.mute(player.sound.audible);
      player.sound.allow();
      player.changed();
    },
    home: () => player.home(),
    source: () => player.source(),
    fly: () => {
      player.setFly(!player.fly);
      if (player.fly) toast("Flying: W A S D to move, drag to look");
    },
    freeze: () => player.freeze(),
    path: () => {
      byId("keys").hidden = !byId("keys").hidden;
      player.changed();
    },
    shot: async () => {
      save(await player.screenshot(), `${stem()}_${player.time_s.toFixed(2)}s.png`);
      toast("Picture saved");
    },
    full: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
    help: () => byId("sheet").showModal(),
    "mode-colour": () => player.set({ mode: "colour" }),
    "mode-depth": () => player.set({ mode: "depth" }),
    "mode-source": () => {
      player.set({ mode: "source" });
      if (!player.invented) toast("Nothing in this scene is invented: all of it was filmed");
    },
    "key-add": () => {
      player.addKey();
      byId("keys").hidden = false;
      toast(`Keyframe ${player.keys.length} added`);
      player.changed();
    },
    "key-play": () => (player.film ? player.stopFilm() : player.playFilm()),
    "key-save": () => {
      save(new Blob([JSON.stringify(player.cameraPath(), null, 1)], { type: "application/json" }), "camera_path.json");
      toast("camera_path.json saved");
    },
  };
  for (const [id, action] of Object.entries(act)) byId(id).addEventListener("click", action);
  byId("speed").addEventListener("change", (event) => player.set({ speed: Number(event.target.value) }));
  slider.addEventListener("input", () => {
    player.playing = false;
    player.seek(Number(slider.value));
  });
  document.addEventListener("fullscreenchange", () => player.changed());
  byId("full").hidden = !document.fullscreenEnabled;

  for (const button of document.querySelectorAll("[data-icon]")) setIcon(button, button.dataset.icon);
  const label = (id, key, icon, text) => {
    const button = byId(id);
    if (button.dataset.icon === icon) return;
    button.dataset.icon = icon;
    setIcon(button, icon);
    button.setAttribute("aria-label", text);
    button.title = `${text}  (${key})`;
  };

  // --- what the buttons show ---
  const press = (id, on) => byId(id).setAttribute("aria-pressed", String(Boolean(on)));
  const showTime = () => {
    if (!player.facts) return;
    const { start_s, end_s } = player.facts;
    slider.value = player.time_s;
    const span = slider.max - slider.min;
    const done = span > 0 ? (Number(slider.value) - slider.min) / span : 0;
    slider.style.setProperty("--done", `calc(7px + (100% - 14px) * ${done.toFixed(4)})`);
    slider.setAttribute("aria-valuetext", `${(player.time_s - start_s).toFixed(2)} seconds`);
    const [now, all] = byId("clock").children;
    now.textContent = clock(player.time_s - start_s);
    all.textContent = `/ ${clock(end_s - start_s)}`;
    const frame = byId("frame");
    frame.hidden = byId("keys").hidden;
    if (!frame.hidden) {
      const [left, top, width, height] = player.frame();
      Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    }
  };
  let keyCount = -1;
  const show = () => {
    label("play", "Space", ...(player.playing ? ["pause", "Pause"] : ["play", "Play"]));
    label("full", "F", ...(document.fullscreenElement ? ["window", "Leave full screen"] : ["full", "Full screen"]));
    label("sound", "M", ...(player.sound.audible ? ["sound", "Sound off"] : ["muted", "Sound on"]));
    byId("sound").hidden = !player.sound.there;
    byId("speed").value = String(player.speed);
    press("loop", player.loop);
    press("source", player.follow);
    press("fly", player.fly);
    press("freeze", player.sway);
    press("path", !byId("keys").hidden);
    for (const mode of ["colour", "depth", "source"]) byId(`mode-${mode}`).setAttribute("aria-checked", String(player.mode === mode));
    byId("key-play").disabled = player.keys.length < 2;
    byId("key-play").textContent = player.film ? "Stop" : "Play";
    byId("key-save").disabled = player.keys.length < 1;
    if (keyCount !== player.keys.length) {
      keyCount = player.keys.length;
      fillKeys(player);
    }
    showTime();
    stir();
  };
  player.addEventListener("change", show);
  player.addEventListener("moved", showTime);

  // --- out of the way while it plays ---
  let idling;
  const stir = () => {
    body.classList.remove("idle");
    clearTimeout(idling);
    idling = setTimeout(() => body.classList.toggle("idle", player.playing && byId("keys").hidden), IDLE_MS);
  };
  for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(kind, stir, { passive: true });

  attachPointer(canvas, player);
  attachKeys(player, {
    " ": act.play,
    "[": () => speed(-1),
    "]": () => speed(1),
    "+": () => player.dolly(0.9),
    "=": () => player.dolly(0.9),
    "-": () => player.dolly(1 / 0.9),
    ArrowUp: () => player.turn(0, -0.05),
    ArrowDown: () => player.turn(0, 0.05),
    Home: () => player.seek(player.facts.start_s),
    End: () => player.seek(player.facts.end_s),
    h: act.home,
    s: act.source,
    g: act.fly,
    b: act.freeze,
    1: act["mode-colour"],
    2: act["mode-depth"],
    3: act["mode-source"],
    k: act["key-add"],
    p: act["key-play"],
    i: act.shot,
    l: act.loop,
    m: act.sound,
    f: act.full,
    "?": act.help,
    Escape: () => {
      byId("keys").hidden = true;
      player.changed();
    },
  });
  show();
  if (player.failed) failed(player.failed);
}

function fillKeys(player) {
  const items = player.keys.map((key, i) => {
    const item = byId("key").content.firstElementChild.cloneNode(true);
    const [go, drop] = item.children;
    const moment = Object.assign(document.createElement("span"), { textContent: clock(key.time_s - player.facts.start_s) });
    go.append(`Keyframe ${i + 1}`, moment);
    go.addEventListener("click", () => player.goToKey(i));
    drop.setAttribute("aria-label", `Remove keyframe ${i + 1}`);
    setIcon(drop, "drop");
    drop.addEventListener("click", () => player.removeKey(i));
    return item;
  });
  byId("key-list").replaceChildren(...items);
  byId("keys-few").hidden = player.keys.length > 1;
  byId("keys-film").hidden = player.keys.length < 2;
}
