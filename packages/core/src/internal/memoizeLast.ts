/** A function that remembers its last answer, for one that is mostly asked the same again and again. */
export const ofLast = <A, B>(f: (a: A) => B): (a: A) => B => {
  let last: { readonly a: A; readonly b: B } | undefined
  return (a) => {
    if (last === undefined || last.a !== a) last = { a, b: f(a) }
    return last.b
  }
}
