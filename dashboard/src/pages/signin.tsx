// The door: an admin key, and where it is to be found.

import { useEffect, useRef } from "preact/hooks";

import { useDoing, useEvery } from "../app/load.ts";
import { look, signIn, type State } from "../app/session.ts";
import { ThemeSwitch } from "../app/shell.tsx";
import { Logo } from "../parts/logo.tsx";
import { Failure } from "../parts/notice.tsx";
import { Code } from "../parts/text.tsx";

const CONFIG = `[admin.keys]
me = "\${HEADGATE_ADMIN_KEY}"   # 16 characters at least`;
const MAKE = `export HEADGATE_ADMIN_KEY=$(openssl rand -hex 24); echo "$HEADGATE_ADMIN_KEY"`;

export function SignInPage({ state }: { state: Exclude<State, { is: "in" | "unknown" }> }) {
  useEffect(() => {
    document.title = "Sign in · headgate";
  }, []);
  return (
    <main class="door">
      <div class="card">
        <div class="brand">
          <Logo size={40} />
          <div>
            <h1>headgate</h1>
            <p>What is being spent, on what, by whom.</p>
          </div>
        </div>
        {state.is === "out" && <SignIn expired={state.expired} />}
        {state.is === "off" && <Off />}
        {state.is === "unreachable" && <Unreachable why={state.why} />}
      </div>
      <ThemeSwitch />
    </main>
  );
}

/** Asked again by itself, for whoever left the page open. */
function Unreachable({ why }: { why: string }) {
  useEvery(5, () => void look());
  return <Failure error={new Error(why)} again={() => void look()} />;
}

function SignIn({ expired }: { expired: boolean }) {
  const field = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  useEffect(() => field.current?.focus(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = field.current?.value.trim() ?? "";
    if (key !== "") doing.run(() => signIn(key));
  };
  return (
    <form onSubmit={submit}>
      {expired && <p class="notice" role="status">Your session has ended. Sign in again to go on where you were.</p>}
      <label class="field">
        <span>Admin key</span>
        <input ref={field} type="password" name="key" autocomplete="current-password" required spellcheck={false} />
      </label>
      {doing.error !== null && <Failure error={doing.error} />}
      <button type="submit" class="primary wide" disabled={doing.busy}>
        {doing.busy ? "Signing in…" : "Sign in"}
      </button>
      <details>
        <summary>Where do I find it?</summary>
        <p>
          It is one of the values below <code>[admin.keys]</code> in the gateway's <code>headgate.toml</code>, or in the
          environment variable that is named there. It is not one of the keys that clients send.
        </p>
      </details>
    </form>
  );
}

function Off() {
  return (
    <div>
      <h2>The admin API is off</h2>
      <p>The dashboard needs it. Put an admin key into the gateway's <code>headgate.toml</code>:</p>
      <Code text={CONFIG} label="what to put into headgate.toml" />
      <p>make one, and start the gateway again with it in its environment:</p>
      <Code text={MAKE} label="how to make an admin key" />
      <button type="button" class="primary wide" onClick={() => void look()}>Look again</button>
    </div>
  );
}
