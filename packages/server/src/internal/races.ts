import type { Key } from "@llm-cache/core/Key"
import { keyName } from "./history.ts"

/** A request from its arrival to the end of its answer. */
export interface Racer {
  /** A draw of the reader for this request. Returns whether it raced with that of another request. */
  readonly draw: () => boolean
  readonly end: () => void
}

interface Open {
  hasDrawn: boolean
  /** Another request drew from the reader while this one was open. */
  hasRival: boolean
}

/**
 * The requests of a run that overlap. A program that sends them one after the other has the same order again. Other programs
 * may have another order, also if each draw is done in an instant.
 */
export class Races {
  // Made when requests are in flight: a server has thousands of runs.
  #open: Map<string, Set<Open>> | undefined

  begin(key: Key): Racer {
    const name = keyName(key)
    const open = this.#open ??= new Map<string, Set<Open>>()
    const others = open.get(name) ?? new Set()
    const own: Open = { hasDrawn: false, hasRival: false }
    open.set(name, others.add(own))
    return {
      draw: () => {
        for (const other of others) {
          if (other === own) continue
          if (other.hasDrawn) own.hasRival = true
          else other.hasRival = true
        }
        own.hasDrawn = true
        return own.hasRival
      },
      end: () => {
        others.delete(own)
        if (others.size === 0) open.delete(name)
        if (open.size === 0) this.#open = undefined
      }
    }
  }
}
