/**
 * Pages of runs: their draws, replays, costs and misses.
 *
 * @since 0.1.0
 */
export * as HiddenCharacters from "./HiddenCharacters.ts"
export * as Inspector from "./Inspector.ts"
export * as SequencePicture from "./SequencePicture.ts"
