/** A command that did not do what was asked. Its message is for people; `json` is what a machine reads instead. */
export class Failed extends Error {
  override readonly name: string = "Failed";
  readonly json: unknown;

  constructor(message: string, json: unknown = { detail: message }, cause?: unknown) {
    super(message, { cause });
    this.json = json;
  }
}

/** A configuration file that cannot be used. Its message is a line a problem, each beginning with its place. */
export class InvalidFile extends Failed {
  override readonly name = "InvalidFile";
}

/** What failed can be read from the answer, which has been printed. */
export class FailedAsPrinted extends Failed {
  override readonly name = "FailedAsPrinted";
}

/** The command was called in a way that has no meaning; exit code 2. */
export class WrongUsage extends Failed {
  override readonly name = "WrongUsage";
}
