// Errors whose text is meant for people: what went wrong, and what to do next.

/** A file that cannot be shown. `message` says why, `todo` what to do about it. */
export class Broken extends Error {
  constructor(message, todo = "Make the scene again with `fourd lift`, or fetch the file once more.") {
    super(message);
    this.todo = todo;
  }
}
