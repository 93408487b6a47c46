/**
 * Pages that show what a run asked, what was replayed, what it cost, and where it missed.
 *
 * @since 0.1.0
 */
export * as Inspector from "./Inspector.ts"
export * as SequencePicture from "./SequencePicture.ts"
