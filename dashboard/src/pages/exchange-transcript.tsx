// The bodies of an exchange, where the audit log keeps them. Asked for only when someone wants to read them.

import { exchanges } from "../api/client.ts";
import type { Body } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { bytes } from "../lib/numbers.ts";
import { With } from "../parts/notice.tsx";
import { Panel } from "../parts/panel.tsx";
import { Copy } from "../parts/text.tsx";
import { useState } from "preact/hooks";

export function TranscriptPanel({ id }: { id: string }) {
  const [wanted, setWanted] = useState(false);
  return (
    <Panel title="Transcript" hint="What was said, if the gateway was set to keep it.">
      {wanted ? <Transcript id={id} /> : <button type="button" onClick={() => setWanted(true)}>Show the transcript</button>}
    </Panel>
  );
}

function Transcript({ id }: { id: string }) {
  const loaded = useLoad(id, async (signal) => ({ kept: await exchanges.transcript(id, signal) }));
  return (
    <With from={loaded} what="the transcript">
      {({ kept }) =>
        kept === null ? (
          <p class="muted">None was kept of this exchange.</p>
        ) : (
          <>
            <BodyText name="Request" body={kept.request} />
            <BodyText name="Response" body={kept.response} />
          </>
        )
      }
    </With>
  );
}

function BodyText({ name, body }: { name: string; body: Body }) {
  const size = body.truncated ? `${bytes(body.kept_bytes)} of ${bytes(body.bytes)} were kept` : bytes(body.bytes);
  return (
    <details class="body" open>
      <summary>{name} <small>{size}</small></summary>
      {body.text === null || body.text === "" ? (
        <p class="muted">No text.</p>
      ) : (
        <div class="code">
          <pre class="raw" tabIndex={0} aria-label={name}>{pretty(body.text)}</pre>
          <Copy text={body.text} label={`Copy the ${name.toLowerCase()}`} />
        </div>
      )}
    </details>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // a stream, or cut off
  }
}
