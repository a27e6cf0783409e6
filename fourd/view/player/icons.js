// Icons on a grid of 24, drawn with one stroke width.

const SHAPES = {
  play: '<path class="full" d="M8 5.5v13l10.5-6.5z"/>',
  pause: '<path class="full" d="M7 5.5h3.4v13H7zM13.6 5.5H17v13h-3.4z"/>',
  loop: '<path d="M5 11V10a4 4 0 0 1 4-4h9m0 0-3-3m3 3-3 3M19 13v1a4 4 0 0 1-4 4H6m0 0 3 3m-3-3 3-3"/>',
  sound: '<path d="M4 9.5v5h3.5L12 18V6L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11"/>',
  muted: '<path d="M4 9.5v5h3.5L12 18V6L7.5 9.5zM16 9.5l5 5m0-5-5 5"/>',
  colour: '<rect x="3.5" y="5" width="17" height="14" rx="2"/><circle cx="8.5" cy="9.7" r="1.4"/><path d="m4 17 5-4.5 3.5 3 3-2.7 4.5 3.7"/>',
  depth: '<path d="m12 4 8.5 4.3L12 12.6 3.5 8.3zM3.5 12.2l8.5 4.3 8.5-4.3M3.5 16l8.5 4.3L20.5 16"/>',
  sources: '<path d="M12 3.5v3M12 17.5v3M3.5 12h3M17.5 12h3M6 6l2 2M16 16l2 2M18 6l-2 2M8 16l-2 2"/><circle cx="12" cy="12" r="1.6"/>',
  home: '<path d="m4 11.5 8-7 8 7M6.5 10v9.5h11V10"/>',
  camera: '<rect x="3.5" y="7" width="11.5" height="10" rx="2"/><path d="m15 11 5.5-3v8L15 13"/>',
  fly: '<path d="M3.5 11 20.5 4l-6 16.5-3.5-6.5zM11 14l3.5-4"/>',
  freeze: '<ellipse cx="12" cy="12" rx="8.5" ry="3.6"/><circle class="full" cx="12" cy="10.5" r="2.2"/><path d="m16.5 17.8-2.6-2.3 2.6-2"/>',
  path: '<circle cx="6" cy="18" r="2"/><circle cx="18" cy="6" r="2"/><path d="M8 18h6a3.5 3.5 0 0 0 0-7h-4a3.5 3.5 0 0 1 0-7"/>',
  shot: '<path d="M4 8.5h3.5L9 6h6l1.5 2.5H20v10H4z"/><circle cx="12" cy="13.2" r="3.2"/>',
  full: '<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>',
  window: '<path d="M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5"/>',
  help: '<path d="M9 9.2a3 3 0 1 1 4.3 2.7c-.9.5-1.3 1-1.3 2.1"/><circle class="full" cx="12" cy="17.3" r="1.1"/>',
  drop: '<path d="m6 6 12 12M18 6 6 18"/>',
};

/** Put an icon into a button. */
export function setIcon(button, name) {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${SHAPES[name]}</svg>`;
}
