import type { Key } from "../../Key.ts"
import type { Model } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import { type AnyFiber, isObserved } from "../events/observe.ts"

/** The samples at hand of a model, for a fiber without observers: peeking raises no events. */
export const peekUnobserved = (
  fiber: AnyFiber,
  { peek }: Pick<Model, "peek">,
  key: Key,
  position: number,
  most: number
): ReadonlyArray<Drawn> => peek === undefined || isObserved(fiber) ? [] : peek(key, position, most)
