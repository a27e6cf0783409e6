// The scene's sound, kept in step with the clock of the player.

/** Farther apart than this, people notice; then the sound is started anew at the right place. */
const APART_S = 0.06;

export class Sound {
  /** @param {() => void} changed called when it becomes audible or falls silent by itself */
  constructor(changed = () => {}) {
    this.changed = changed;
    this.buffer = null;
    this.muted = false;
    this.playing = null;
  }

  /**
   * Take a WAV file. Resolves to false where the browser cannot play it.
   * @param {ArrayBuffer} wav
   * @param {number} start_s when it begins, on the clock of the scene
   */
  async load(wav, start_s) {
    try {
      this.context = new AudioContext();
      this.context.onstatechange = this.changed;
      this.volume = this.context.createGain();
      this.volume.connect(this.context.destination);
      this.buffer = await this.context.decodeAudioData(wav);
      this.start_s = start_s;
      this.mute(this.muted);
      return true;
    } catch {
      this.buffer = null;
      return false;
    }
  }

  mute(muted) {
    this.muted = muted;
    if (this.volume) this.volume.gain.value = muted ? 0 : 1;
  }

  /** Whether it can be heard: browsers keep sound back until somebody has clicked. */
  get audible() {
    return Boolean(this.buffer) && !this.muted && this.context.state === "running";
  }

  /** Somebody has clicked. */
  allow() {
    if (this.context?.state === "suspended") this.context.resume();
  }

  /** Where it is, on the clock of the scene; null where nothing sounds. */
  position() {
    if (!this.playing) return null;
    return this.playing.from_s + (this.context.currentTime - this.playing.since) * this.playing.rate;
  }

  /** Say where the scene is: the sound follows. Call it whenever time may have moved. */
  follow(time_s, running, rate) {
    if (!this.buffer) return;
    const offset = time_s - this.start_s;
    const audible = running && rate >= 0.25 && rate <= 2 && offset >= 0 && offset < this.buffer.duration;
    if (!audible || this.context.state !== "running") return this.stop();
    const apart = this.playing && Math.abs(this.position() - time_s);
    if (this.playing && this.playing.rate === rate && apart < APART_S * Math.max(1, rate)) return;
    this.stop();
    const node = this.context.createBufferSource();
    node.buffer = this.buffer;
    node.playbackRate.value = rate;
    node.connect(this.volume);
    node.start(0, offset);
    this.playing = { node, rate, from_s: time_s, since: this.context.currentTime };
  }

  stop() {
    this.playing?.node.stop();
    this.playing = null;
  }
}
