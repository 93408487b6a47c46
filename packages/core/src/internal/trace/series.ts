/** Sums of a part of a run's time. */
export interface Bucket {
  spent: number
  replayed: number
  asked: number
}

/** Sums over time, in at most 120 parts of equal length. */
export class Series {
  /** The length of a part, in milliseconds. */
  width = 10
  buckets: Array<Bucket> = []

  at(time: number): Bucket {
    while (time >= this.width * most) this.#double()
    const i = Math.max(0, Math.floor(time / this.width))
    while (this.buckets.length <= i) this.buckets.push({ spent: 0, replayed: 0, asked: 0 })
    return this.buckets[i]!
  }

  #double(): void {
    this.width *= 2
    const merged: Array<Bucket> = []
    for (let i = 0; i < this.buckets.length; i += 2) {
      const [one, other] = [this.buckets[i]!, this.buckets[i + 1]]
      merged.push({
        spent: one.spent + (other?.spent ?? 0),
        replayed: one.replayed + (other?.replayed ?? 0),
        asked: one.asked + (other?.asked ?? 0)
      })
    }
    this.buckets = merged
  }
}

const most = 120
