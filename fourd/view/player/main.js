// Where the player begins: on a page that `fourd view` serves, or in one that holds everything within itself.
import { Player } from "./player.js";
import { RemoteRenderer, RemoteWorker } from "./remote.js";
import { attach } from "./ui.js";

const held = document.getElementById("fourd-scene");
const code = document.getElementById("fourd-worker");
const makeWorker = () => {
  if (!code) return new Worker("worker.js", { type: "module" });
  return new Worker(URL.createObjectURL(new Blob([code.textContent], { type: "text/javascript" })));
};
const open = held ? { text: held.textContent.trim() } : { url: new URL("scene.glb", location.href).href };
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What `fourd view --remote` writes into the page. */
const facts = JSON.parse(document.documentElement.dataset.remote ?? "null");
const remote = facts && {
  makeWorker: () => new RemoteWorker(makeWorker(), facts),
  makeRenderer: (canvas) => new RemoteRenderer(canvas, () => player),
};

const player = new Player(document.getElementById("view"), { makeWorker, open, calm, ...remote });
attach(player);
held?.remove();
/** For whoever embeds the page. */
window.fourd = player;
player.ready.then(
  () => {
    if (!calm && player.facts.cameras.length > 1) player.play(true);
  },
  () => {},
);
