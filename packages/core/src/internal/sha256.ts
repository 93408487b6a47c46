import { Crypto } from "./node.ts"

/** The SHA-256 of a text's UTF-8 bytes, in lower-case hex. */
export const sha256 = (text: string): string => Crypto?.hash?.("sha256", text, "hex") ?? portableSha256(text)

/** The same without `node:crypto`: the hashes of a browser are asynchronous. FIPS 180-4, section 6.2. */
export const portableSha256 = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  // The text, a bit of 1, and its length in bits.
  const padded = new DataView(new ArrayBuffer((bytes.length + 8 >>> 6) + 1 << 6))
  new Uint8Array(padded.buffer).set(bytes)
  padded.setUint8(bytes.length, 0x80)
  padded.setBigUint64(padded.byteLength - 8, BigInt(bytes.length) * 8n)
  const state = Uint32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))
  const words = new Uint32Array(64)
  for (let block = 0; block < padded.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = padded.getUint32(block + 4 * i)
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15]!, words[i - 2]!]
      const sigma0 = rotate(x, 7) ^ rotate(x, 18) ^ x >>> 3
      const sigma1 = rotate(y, 17) ^ rotate(y, 19) ^ y >>> 10
      words[i] = words[i - 16]! + sigma0 + words[i - 7]! + sigma1
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
    for (let i = 0; i < 64; i++) {
      const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
      const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
      const t = h + sum1 + (e & f ^ ~e & g) + constants[i]! + words[i]!
      ;[h, g, f, e, d, c, b, a] = [g, f, e, d + t | 0, c, b, a, t + sum0 + (a & b ^ a & c ^ b & c) | 0]
    }
    for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + word
  }
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("")
}

const rotate = (word: number, bits: number): number => word >>> bits | word << 32 - bits

const fraction = (value: number): number => value % 1 * 2 ** 32

const primes = Array.from({ length: 310 }, (_, i) => i + 2).filter((n, _, all) =>
  all.every((m) => m >= n || n % m !== 0)
)

const constants = Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime)))
