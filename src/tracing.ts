import { setTimeout as sleep } from 'node:timers/promises';
import {
  context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Request } from 'express';
import { logWarning } from './log.ts';

/** OpenTelemetry's spans of one server: one for each request, and within it one for each statement. */
export type Tracing = {
  /** Begins the span of a request, within the one that its `traceparent` names. */
  begin(request: Request): RequestTrace;
  /** Sends what has not been sent yet. */
  stop(): Promise<void>;
};

export type RequestTrace = {
  /** Begins the span of a statement; what is returned ends it. The text has placeholders for values. */
  statement(text: string): (error?: Error) => void;
  end(about: {
    door: string;
    operation: string;
    outcome: string;
    status: number;
    id: string;
  }): void;
};

/**
 * Sends traces to a collector, which gets OTLP over HTTP. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say what this
 * server is called there.
 */
export function startTracing(url: string): Tracing {
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'bursar' }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  const tracer = provider.getTracer('bursar');
  const propagator = new W3CTraceContextPropagator();
  const parentOf = (request: Request) =>
    propagator.extract(context.active(), request.headers, {
      get: (headers: Request['headers'], name) => headers[name],
      keys: (headers: Request['headers']) => Object.keys(headers),
    });
  return {
    begin: (request) =>
      traceOf(
        tracer,
        tracer.startSpan(
          request.method,
          {
            kind: SpanKind.SERVER,
            attributes: { 'http.request.method': request.method },
          },
          parentOf(request),
        ),
      ),
    async stop() {
      const late = sleep(GOODBYE_MS, undefined, { ref: false });
      await Promise.race([provider.shutdown(), late]).catch((error: Error) =>
        logWarning('The last traces could not be sent.', error),
      );
    },
  };
}

function traceOf(tracer: Tracer, span: Span): RequestTrace {
  const within = trace.setSpan(context.active(), span);
  return {
    statement(text) {
      const statement = tracer.startSpan(
        'postgresql',
        {
          kind: SpanKind.CLIENT,
          attributes: {
            'db.system.name': 'postgresql',
            'db.query.text': text.slice(0, LONGEST_TEXT),
          },
        },
        within,
      );
      return (error) => {
        if (error !== undefined) {
          const { code } = error as { code?: string };
          statement.setStatus({ code: SpanStatusCode.ERROR });
          if (code !== undefined) statement.setAttribute('db.response.status_code', code);
        }
        statement.end();
      };
    },
    end({ door, operation, outcome, status, id }) {
      span.updateName(door === 'graphql' ? `graphql ${operation}` : operation);
      span.setAttributes({
        'http.response.status_code': status,
        'bursar.door': door,
        'bursar.outcome': outcome,
        'bursar.request_id': id,
        ...(door === 'graphql'
          ? { 'graphql.operation.name': operation }
          : { 'http.route': operation }),
      });
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

const LONGEST_TEXT = 2_000;
/** How long a collector that is away may hold up the end. */
const GOODBYE_MS = 2_000;
