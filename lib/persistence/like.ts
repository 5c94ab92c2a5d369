/** Escapes the wildcards of text for a pattern of LIKE. */
export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, "\\$&");
