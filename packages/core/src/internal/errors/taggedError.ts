import * as Data from "effect/Data"

/** `Data.TaggedError`, whose JSON has the message beside the fields, for logs. */
export const TaggedError: typeof Data.TaggedError = (tag) => {
  class Told extends Data.TaggedError(tag)<{}> {
    override toJSON(): object {
      return Object.assign({}, this, { message: this.message })
    }
  }
  return Told as never
}
