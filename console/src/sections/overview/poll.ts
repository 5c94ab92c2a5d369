/** Milliseconds between two polls of each part of the overview. */
export const POLL_MS = 2000;
