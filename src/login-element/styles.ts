import { css } from "lit";

/**
 * Pages set the custom properties `--gatehouse-*`, style the parts, and choose `color-scheme`. Lengths along a line are
 * logical, so that nothing changes for languages that are written from right to left.
 */
export const styles = css`
  :host {
    --accent: var(--gatehouse-accent, light-dark(#0b57d0, #a8c7fa));
    --on-accent: var(--gatehouse-on-accent, light-dark(#fff, #062e6f));
    --background: var(--gatehouse-background, light-dark(#fff, #1f2023));
    --text: var(--gatehouse-text, light-dark(#1b1b1f, #e4e2e6));
    --muted: var(--gatehouse-muted, light-dark(#52525b, #b3b1b8));
    --border: var(--gatehouse-border, light-dark(#85858f, #8a8992));
    --error: var(--gatehouse-error, light-dark(#a4001d, #ff9aa8));
    --radius: var(--gatehouse-radius, 0.6rem);
    display: block;
    color-scheme: light dark;
    color: var(--text);
    font: var(--gatehouse-font, 1rem / 1.5 system-ui, sans-serif);
    text-align: start;
  }
  :host([hidden]) {
    display: none;
  }
  .card {
    position: relative;
    box-sizing: border-box;
    padding: var(--gatehouse-padding, 1.5rem);
    border: 1px solid color-mix(in srgb, var(--border) 45%, transparent);
    border-radius: var(--radius);
    background: var(--background);
    overflow-wrap: anywhere;
  }
  h2 {
    margin: 0 0 0.75rem;
    font-size: 1.35rem;
    line-height: 1.25;
  }
  h2:focus {
    outline: none;
  }
  p {
    margin: 0 0 0.75rem;
  }
  form,
  ul {
    display: grid;
    gap: 0.9rem;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  label {
    display: block;
    margin-block-end: 0.25rem;
    font-weight: 600;
  }
  input,
  select,
  button,
  .button {
    box-sizing: border-box;
    inline-size: 100%;
    min-block-size: 2.75rem;
    padding: 0.5rem 0.75rem;
    border: 1px solid var(--border);
    border-radius: calc(var(--radius) * 0.7);
    background: var(--background);
    color: inherit;
    font: inherit;
  }
  input[aria-invalid],
  select[aria-invalid] {
    border-color: var(--error);
  }
  .check {
    display: grid;
    grid-template-columns: auto 1fr;
    gap: 0.25rem 0.6rem;
    align-items: center;
  }
  .check input {
    inline-size: 1.25rem;
    min-block-size: 1.25rem;
    accent-color: var(--accent);
  }
  .check label {
    margin: 0;
  }
  .check .problem {
    grid-column: 1 / -1;
  }
  button,
  .button {
    display: block;
    background: transparent;
    font-weight: 600;
    text-align: center;
    text-decoration: none;
    cursor: pointer;
  }
  .primary {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }
  .link {
    min-block-size: 2rem;
    margin-block-start: 0.75rem;
    padding: 0.25rem;
    border-color: transparent;
    color: var(--accent);
  }
  button[aria-disabled="true"] {
    border-color: transparent;
    background: color-mix(in srgb, var(--muted) 22%, var(--background));
    color: var(--text);
    cursor: default;
  }
  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
  .hint {
    color: var(--muted);
    font-weight: 400;
  }
  .visually-hidden {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    margin: 0;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .problem {
    margin: 0.25rem 0 0;
    color: var(--error);
    font-weight: 600;
  }
  .alert:not(:empty) {
    margin-block-end: 0.75rem;
  }
  .code {
    display: block;
    margin-block: 0.25rem 1rem;
    padding: 0.5rem;
    border: 1px dashed var(--border);
    border-radius: calc(var(--radius) * 0.7);
    font:
      600 1.5rem / 1.4 ui-monospace,
      monospace;
    letter-spacing: 0.08em;
    text-align: center;
  }
  pre.code {
    font-size: 1.05rem;
  }
  .qr {
    display: block;
    inline-size: min(100%, 15rem);
    margin: 0 auto 0.75rem;
  }
  .secret {
    display: block;
    margin-block-end: 0.75rem;
    overflow-wrap: anywhere;
    user-select: all;
  }
  .bar {
    block-size: 3px;
    margin-block-end: 0.75rem;
    border-radius: 2px;
    background: linear-gradient(90deg, transparent, var(--accent), transparent) 0 0 / 50% 100% no-repeat;
    animation: move 1.4s linear infinite alternate;
  }
  @keyframes move {
    to {
      background-position: 100% 0;
    }
  }
  progress {
    inline-size: 100%;
    block-size: 0.5rem;
    margin-block-end: 0.5rem;
    accent-color: var(--accent);
  }
  @media (prefers-reduced-motion: reduce) {
    .bar {
      background: var(--accent);
      animation: none;
    }
  }
  @media (forced-colors: active) {
    .primary {
      border: 2px solid ButtonText;
    }
  }
`;
