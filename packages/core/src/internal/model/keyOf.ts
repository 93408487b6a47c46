import type { Identity } from "../../Identity.ts"
import { InvalidInput } from "../../InvalidInput.ts"
import { Key } from "../../Key.ts"
import type { AnyFiber } from "../events/observe.ts"
import { CurrentFork } from "./currentFork.ts"

/** The key of a prompt in the fork that a fiber runs in, or why there is none. */
export const keyOf = (
  fiber: AnyFiber,
  identity: Identity,
  prompt: string
): Key | InvalidInput => {
  const { path } = fiber.getRef(CurrentFork)
  return faultOf(prompt, path) ?? new Key(identity, prompt, path)
}

/** Why a prompt in a fork has no key. */
export const faultOf = (prompt: string, path: ReadonlyArray<string>): InvalidInput | undefined =>
  // Programs in JavaScript have no type check.
  typeof prompt !== "string"
    ? new InvalidInput({
      module: "LlmModel.sample",
      description:
        `the prompt is ${typeName(prompt)}, and has to be a text: put messages into one text, for example with ` +
        "`JSON.stringify(messages)` or a template, and give the system's text as the option `system` of the model"
    })
    : !prompt.isWellFormed()
    ? new InvalidInput({
      module: "LlmModel.sample",
      description:
        "the prompt has a lone surrogate, which no request and no file can hold: repair it with `prompt.toWellFormed()`"
    })
    : path.some((name) => typeof name !== "string" || name === "" || !name.isWellFormed())
    ? new InvalidInput({
      module: "Fork.fork",
      description: `the fork ${
        JSON.stringify(path)
      } has a name that is no text, is empty, or has a lone surrogate: give it another one`
    })
    : undefined

const typeName = (value: unknown): string =>
  Array.isArray(value) ? "an array" : value === null || value === undefined ? `${value}` : `of the type ${typeof value}`
