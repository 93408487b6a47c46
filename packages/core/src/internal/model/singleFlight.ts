import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Key } from "../../Key.ts"
import type { Drawn } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import { KeyMap } from "./keyMap.ts"

/** The samples that a request brought, by position. */
export type Landed = ReadonlyMap<number, Drawn>

/** A request that is in flight. */
export interface InFlight {
  readonly key: Key
  /** The positions it is to fill, first the position that started it. */
  readonly positions: [number, ...Array<number>]
  readonly landed: Deferred.Deferred<Landed, SampleError>
  /** How many draws wait for it. */
  waiters: number
}

/**
 * At most one request per key and position is in flight. Every draw of that position waits for it and gets its result.
 * Requests run in `scope`, so that the interruption of a waiting draw does not end them.
 */
export class SingleFlight<Request extends InFlight> {
  readonly #requests = new KeyMap<Map<number, Request>>()
  readonly #scope: Scope.Scope
  readonly #requestScope: Scope.Scope
  readonly #make: (inFlight: InFlight) => Request
  readonly #onEnd: (key: Key) => void

  /** After `scope` is closed no request starts. Those in flight run in `requestScope`, which may close later. */
  constructor(
    scope: Scope.Scope,
    make: (inFlight: InFlight) => Request,
    onEnd: (key: Key) => void,
    requestScope: Scope.Scope = scope
  ) {
    this.#scope = scope
    this.#requestScope = requestScope
    this.#make = make
    this.#onEnd = onEnd
  }

  get(key: Key, position: number): Request | undefined {
    return this.#requests.get(key)?.get(position)
  }

  /** The positions that requests in flight are to fill. */
  positions(key: Key): ReadonlyArray<number> {
    return [...this.#requests.get(key)?.keys() ?? []]
  }

  /** Whether the scope is closed. */
  get isClosed(): boolean {
    return this.#scope.state._tag === "Closed"
  }

  isIdle(key: Key): boolean {
    return this.#requests.get(key) === undefined
  }

  /**
   * Reserves `count` more positions for a request, the first ones from `start` on that are not taken and that no other
   * request is to fill.
   */
  reserve(request: Request, start: number, count: number, isTaken: (position: number) => boolean): void {
    const requests = this.#requests.get(request.key)!
    for (let position = start, reserved = 0; reserved < count; position++) {
      if (isTaken(position) || requests.has(position)) continue
      requests.set(position, request)
      request.positions.push(position)
      reserved++
    }
  }

  /** Lets other draws request the positions of a request, but for its first one. */
  releaseReserved(request: Request): void {
    const requests = this.#requests.get(request.key)!
    for (const position of request.positions.splice(1)) requests.delete(position)
  }

  /** How many requests are in flight. */
  get count(): number {
    return this.#all().size
  }

  /** Waits until the requests that are in flight end. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.#all(), ({ landed }) => Effect.exit(Deferred.await(landed)), { discard: true })
  )

  #all(): ReadonlySet<Request> {
    return new Set(Array.from(this.#requests.values()).flatMap((requests) => [...requests.values()]))
  }

  /** Waits for a request. */
  join(request: Request): Effect.Effect<Landed, SampleError> {
    return Effect.suspend(() => {
      request.waiters++
      return Effect.onInterrupt(Deferred.await(request.landed), () => Effect.sync(() => void request.waiters--))
    })
  }

  /** Starts a request for a position and waits for it; joins the one in flight if there is one. */
  start<A>(
    key: Key,
    position: number,
    fill: (request: Request) => Effect.Effect<Landed, SampleError>,
    join: (request: Request, isStarter: boolean) => Effect.Effect<A, SampleError>
  ): Effect.Effect<A, SampleError> {
    return Effect.uninterruptibleMask((interruptible) =>
      Effect.suspend(() => {
        let requests = this.#requests.get(key)
        const other = requests?.get(position)
        if (other !== undefined) return interruptible(join(other, false))
        if (this.isClosed) return Effect.die(usedAfterClose())
        if (requests === undefined) this.#requests.set(key, requests = new Map())
        const request = this.#make({ key, positions: [position], landed: Deferred.makeUnsafe(), waiters: 0 })
        requests.set(position, request)
        return Effect.flatMap(
          Effect.forkIn(this.#run(request, fill), this.#requestScope, {
            startImmediately: true,
            uninterruptible: true
          }),
          (fiber) => {
            // A value that is no effect ends a fiber past all its handlers.
            fiber.addObserver((exit) => {
              if (Exit.isFailure(exit)) this.#end(request, Exit.failCause(exit.cause))
            })
            return interruptible(join(request, true))
          }
        )
      })
    )
  }

  #run(request: Request, fill: (request: Request) => Effect.Effect<Landed, SampleError>): Effect.Effect<void> {
    return Effect.map(Effect.exit(fill(request)), (exit) => this.#end(request, exit))
  }

  #end(request: Request, exit: Exit.Exit<Landed, SampleError>): void {
    const requests = this.#requests.get(request.key)!
    for (const position of request.positions) requests.delete(position)
    if (requests.size === 0) this.#requests.delete(request.key)
    this.#onEnd(request.key)
    // The waiting draws were not interrupted: they used a model after its scope had closed.
    const isClosed = this.isClosed && Exit.hasInterrupts(exit)
    Deferred.doneUnsafe(request.landed, isClosed ? Exit.die(usedAfterClose()) : exit)
  }
}

const usedAfterClose = () => new Error("This model was used after the scope of its layer was closed")
