import type * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import type * as Arr from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Queue from "effect/Queue"
import type { UndeclaredCall } from "./undeclaredCall.ts"

/** The parts of an answer on their way to the program that asked for it. */
export class LiveStream {
  /** Whether parts are shown while they come. */
  readonly isLive: boolean
  /** Done when the program has left and the request is to end. */
  readonly aborted = Deferred.makeUnsafe<void>()
  readonly #queue: Queue.Queue<Response.StreamPartEncoded, AiError.AiError | Cause.Done>
  /** The request that shows its parts: the first with a part. */
  #shows: object | undefined
  /** The text of the answer that was shown, once it is complete. */
  shown: string | undefined
  /** The call of a tool that was not offered, once it has come. */
  undeclared: UndeclaredCall | undefined
  readonly #findUndeclared: (parts: ReadonlyArray<Response.StreamPartEncoded>) => UndeclaredCall | undefined

  constructor(
    isLive: boolean,
    queue: Queue.Queue<Response.StreamPartEncoded, AiError.AiError | Cause.Done>,
    findUndeclared: (parts: ReadonlyArray<Response.StreamPartEncoded>) => UndeclaredCall | undefined
  ) {
    this.isLive = isLive
    this.#queue = queue
    this.#findUndeclared = findUndeclared
  }

  /** Whether a part was shown. */
  get hasShown(): boolean {
    return this.#shows !== undefined
  }

  /** Shows parts of a request, unless another request has shown some, up to a call that ends the stream with an error. */
  show(request: object, parts: Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>): void {
    if (!this.isLive || (this.#shows !== undefined && this.#shows !== request)) return
    this.#shows = request
    if (this.undeclared !== undefined) return
    this.undeclared = this.#findUndeclared(parts)
    Queue.offerAllUnsafe(this.#queue, this.undeclared === undefined ? parts : parts.slice(0, this.undeclared.index))
  }

  complete(request: object, text: string): void {
    if (this.#shows === request) this.shown = text
  }
}

/** The failure of a request after its program has left. */
export class Abandoned extends Error {
  readonly stream: LiveStream

  constructor(stream: LiveStream) {
    super("the program that asked for the stream has left it")
    this.stream = stream
  }
}
