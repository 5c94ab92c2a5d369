/** https://www.w3.org/TR/trace-context/#traceparent-header: the trace's id is its second part. */
export const traceIdOf = (traceparent: string | undefined): string | undefined => traceparent?.split("-", 2)[1];
