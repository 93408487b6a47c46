/** The next signal, from the call on. The one after it ends the process. */
export const nextSignal = (): Promise<void> =>
  new Promise((resolve) => {
    let isStopping = false
    const stop = () => {
      if (isStopping) process.exit(130)
      isStopping = true
      resolve()
    }
    process.on("SIGINT", stop).on("SIGTERM", stop)
  })
