// A dialog of the browser's own: it takes the focus, keeps it, and gives it back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import type { Doing } from "../app/load.ts";
import { Icon } from "./icon.tsx";
import { Failure } from "./notice.tsx";

interface DialogProps {
  title: string;
  close: () => void;
  /** Escape does not close it: what it shows is not shown again. */
  stays?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, close, stays = false, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("input, select, .actions button:last-child")?.focus();
    return () => {
      dialog?.close();
      // The browser gives the focus back only where the dialog closes before it goes from the page.
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog ref={box} aria-labelledby={id} onCancel={(event) => (stays ? event.preventDefault() : close())}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="quiet small" aria-label="Close" onClick={close}>
          <Icon name="cross" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  action: string;
  doing: Doing;
  close: () => void;
  yes: () => void;
  children: ComponentChildren;
}

/** A change that cannot be taken back is asked for twice. */
export function Confirm({ title, action, doing, close, yes, children }: ConfirmProps) {
  return (
    <Dialog title={title} close={close}>
      <div class="body">
        {children}
        {doing.error !== null && <Failure error={doing.error} />}
      </div>
      <div class="actions">
        <button type="button" class="danger" disabled={doing.busy} onClick={yes}>
          {action}
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

interface FormProps extends Omit<ConfirmProps, "yes"> {
  submit: (form: FormData) => void;
}

export function FormDialog({ title, action, doing, close, submit, children }: FormProps) {
  const submitted = (event: SubmitEvent) => {
    event.preventDefault();
    submit(new FormData(event.currentTarget as HTMLFormElement));
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={submitted}>
        <div class="body">
          {children}
          {doing.error !== null && <Failure error={doing.error} />}
        </div>
        <div class="actions">
          <button type="submit" class="primary" disabled={doing.busy}>
            {action}
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  children: ComponentChildren;
}

export function Field({ label, hint, children }: FieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {hint !== undefined && <small>{hint}</small>}
    </label>
  );
}
