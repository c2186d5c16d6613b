// A titled part of a page, and the page's own head.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import { visits } from "../app/router.ts";

interface PanelProps {
  title: string;
  hint?: ComponentChildren;
  actions?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

export function Panel({ title, hint, actions, class: own = "", children }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${own}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {hint !== undefined && <p class="hint">{hint}</p>}
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface HeadProps {
  title: string;
  lead?: ComponentChildren;
  children?: ComponentChildren;
}

/** The heading takes the focus when a page is come to by a link, so that a screen reader says where one is. */
export function Head({ title, lead, children }: HeadProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · headgate`;
  }, [title]);
  useEffect(() => {
    if (visits.value > 0) heading.current?.focus({ preventScroll: true });
  }, [visits.value]);
  return (
    <div class="head">
      <div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead !== undefined && <div class="lead">{lead}</div>}
      </div>
      {children !== undefined && <div class="actions">{children}</div>}
    </div>
  );
}
