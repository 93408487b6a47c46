/** Makes the prompts of each call before the clock starts. */
export const ahead = (
  make: () => ReadonlyArray<string>,
  use: (prompts: ReadonlyArray<string>) => number | Promise<number>
) => {
  let prompts = make()
  return async () => {
    const brought = await use(prompts)
    queueMicrotask(() => (prompts = make()))
    return brought
  }
}
