// Pointer, wheel, fingers and keys become movements of the player.

const TURN = 0.0052; // Radians a CSS pixel.
const FRAME_KEYS = { ArrowLeft: -1, ArrowRight: 1, ",": -1, ".": 1 };
const WALK_KEYS = { w: [0, 0, 1], s: [0, 0, -1], a: [-1, 0, 0], d: [1, 0, 0], e: [0, -1, 0], q: [0, 1, 0] };

/** Let the canvas be dragged, scrolled and pinched. */
export function attachPointer(canvas, player) {
  const held = new Map();
  let last = null;

  const spread = () => {
    const [a, b] = [...held.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.classList.add("held");
    player.spin = null;
    last = held.size === 2 ? spread() : { yaw: 0, pitch: 0, since: event.timeStamp };
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before || !player.facts) return;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    before.x = event.clientX;
    before.y = event.clientY;
    if (held.size === 2) {
      const now = spread();
      player.pan(now.x - last.x, now.y - last.y);
      if (now.apart > 0 && last.apart > 0) player.dolly(last.apart / now.apart);
      last = now;
    } else if (event.shiftKey || event.buttons & 6) {
      player.pan(dx, dy);
    } else if (held.size === 1) {
      const sign = player.fly ? -1 : 1;
      const [yaw, pitch] = [sign * dx * TURN, -sign * dy * TURN];
      player.turn(yaw, pitch);
      const dt = Math.max(1, event.timeStamp - last.since) / 1000;
      const blend = Math.min(1, dt / 0.05);
      last.yaw += (yaw / dt - last.yaw) * blend;
      last.pitch += (pitch / dt - last.pitch) * blend;
      last.since = event.timeStamp;
    }
  });

  const drop = (event) => {
    if (!held.delete(event.pointerId)) return;
    if (held.size === 0) {
      canvas.classList.remove("held");
      const rested = event.timeStamp - (last?.since ?? 0) > 80;
      if (last?.yaw !== undefined && !rested && !player.fly) player.fling(last.yaw, last.pitch);
    }
    last = { yaw: 0, pitch: 0, since: event.timeStamp };
  };
  canvas.addEventListener("pointerup", drop);
  canvas.addEventListener("pointercancel", drop);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", (event) => player.facts && player.aim(event.clientX, event.clientY));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (!player.facts) return;
      const pixels = event.deltaY * [1, 16, 240][event.deltaMode];
      player.dolly(Math.exp(Math.min(240, Math.max(-240, pixels)) * 0.0014));
    },
    { passive: false },
  );
}

/**
 * Let keys do what buttons do.
 * @param {Player} player
 * @param {Record<string, () => void>} actions by `KeyboardEvent.key`, letters in lower case
 */
export function attachKeys(player, actions) {
  const down = new Set();
  const walk = () => {
    const sum = [0, 0, 0];
    if (player.fly) for (const key of down) WALK_KEYS[key]?.forEach((x, i) => (sum[i] += x));
    player.walk = sum;
    if (sum.some(Boolean)) player.wake();
  };
  addEventListener("keydown", (event) => {
    if (!player.facts || player.failed || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (document.querySelector("dialog[open]")) return;
    // A focused button, list or slider keeps the keys that it lives from.
    const own = at instanceof HTMLSelectElement || at instanceof HTMLInputElement || at instanceof HTMLButtonElement;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (own && [" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
      if (!(at instanceof HTMLButtonElement && key.startsWith("Arrow"))) return;
    }
    if (player.fly && key in WALK_KEYS) {
      down.add(key);
      walk();
    } else if (key in FRAME_KEYS) {
      player.step(FRAME_KEYS[key] * (event.shiftKey ? 10 : 1));
    } else if (key in actions) {
      if (!event.repeat || key === "+" || key === "-" || key.startsWith("Arrow")) actions[key]();
    } else return;
    event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    if (down.delete(event.key.toLowerCase())) walk();
  });
  addEventListener("blur", () => {
    down.clear();
    walk();
  });
}
