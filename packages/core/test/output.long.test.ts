import { it } from "@effect/vitest"
import { parseHugeTexts } from "./support/hugeTexts.ts"

it.effect("Output.parse takes time in proportion to the text, here of 10 MB", () => parseHugeTexts(10_000_000), 480_000)
