import type { Needs } from './dependencies.ts';
import { LEAVES, type Part, RANK } from './part.ts';
import { byCodeUnits } from './sql-text.ts';

/** A thing with the parts that stand with it, in the order in which they stand. */
export type Unit = { readonly parts: readonly Part[] };

/**
 * The things in an order in which they can be made: each as soon as what it needs is there, and of those that
 * could be next the one that comes first by rank and name. It depends on nothing but what there is.
 *
 * @returns The units, and which parts stand apart from the thing to which they belong.
 */
export function inOrder(
  parts: readonly Part[],
  needs: Needs,
): { units: Unit[]; apart: ReadonlySet<string> } {
  const apart = partsThatLeave(parts, needs);
  const graph = new Graph(parts, needs, apart);
  const key = (unit: string) => {
    const [first] = graph.partsOf(unit);
    const rank = apart.has(unit) ? RANK.apart : (first?.rank ?? RANK.apart);
    return `${rank} ${first?.name} ${unit.split(' ')[0]}`;
  };
  const waiting = [...graph.units].sort((a, b) => byCodeUnits(key(a), key(b)));
  const made = new Set<string>();
  const units: Unit[] = [];
  while (waiting.length > 0) {
    const at = waiting.findIndex((unit) => [...graph.needsOf(unit)].every((n) => made.has(n)));
    const [next] = waiting.splice(at, 1);
    if (at < 0 || next === undefined) throw circle(waiting, graph);
    made.add(next);
    units.push({ parts: graph.partsOf(next) });
  }
  return { units, apart };
}

function circle(waiting: readonly string[], graph: Graph): Error {
  const names = graph.circles().map((units) => units.map((u) => graph.partsOf(u)[0]?.name));
  return new Error(
    `The dump can't put these in an order, since each needs the other: ${(names[0] ?? waiting).join(', ')}. Break the circle.`,
  );
}

/** Parts that are written later than their home, so that no two things wait for each other. */
function partsThatLeave(parts: readonly Part[], needs: Needs): ReadonlySet<string> {
  const apart = new Set<string>();
  for (const kind of Object.values(LEAVES)) {
    const graph = new Graph(parts, needs, apart);
    const circles = graph.circles().map((units) => new Set(units));
    for (const part of parts) {
      if (part.leaves !== kind) continue;
      const home = graph.unitOf(part.id);
      const circle = circles.find((units) => home !== undefined && units.has(home));
      const reasons = [...(needs.get(part.id) ?? [])].map((need) => graph.unitOf(need));
      if (reasons.some((unit) => unit !== undefined && unit !== home && circle?.has(unit))) {
        apart.add(part.id);
      }
    }
  }
  return apart;
}

class Graph {
  readonly #units = new Map<string, Part[]>();
  readonly #unitOf = new Map<string, string>();
  readonly #needs = new Map<string, Set<string>>();

  constructor(parts: readonly Part[], needs: Needs, apart: ReadonlySet<string>) {
    const inPlace = [...parts].sort((a, b) => a.place - b.place || byCodeUnits(a.name, b.name));
    for (const part of inPlace) {
      const unit = apart.has(part.id) ? part.id : part.home;
      this.#unitOf.set(part.id, unit);
      this.#units.set(unit, [...(this.#units.get(unit) ?? []), part]);
    }
    for (const [part, needed] of needs) {
      const unit = this.#unitOf.get(part);
      if (unit === undefined) continue;
      const all = this.#needs.get(unit) ?? new Set();
      for (const need of needed) {
        const other = this.#unitOf.get(need);
        if (other !== undefined && other !== unit) all.add(other);
      }
      this.#needs.set(unit, all);
    }
  }

  get units(): Iterable<string> {
    return this.#units.keys();
  }

  partsOf(unit: string): readonly Part[] {
    return this.#units.get(unit) ?? [];
  }

  unitOf(part: string): string | undefined {
    return this.#unitOf.get(part);
  }

  needsOf(unit: string): ReadonlySet<string> {
    return this.#needs.get(unit) ?? new Set();
  }

  /** Units that need each other, by way of others or at once (the strong components, by Tarjan's algorithm). */
  circles(): string[][] {
    const found: string[][] = [];
    const number = new Map<string, number>();
    const low = new Map<string, number>();
    const path: string[] = [];
    const visit = (unit: string): void => {
      number.set(unit, number.size);
      low.set(unit, number.get(unit) ?? 0);
      path.push(unit);
      for (const need of this.needsOf(unit)) {
        if (!number.has(need)) visit(need);
        if (path.includes(need)) {
          low.set(unit, Math.min(low.get(unit) ?? 0, low.get(need) ?? 0));
        }
      }
      if (low.get(unit) !== number.get(unit)) return;
      const component = path.splice(path.indexOf(unit));
      if (component.length > 1) found.push(component);
    };
    for (const unit of this.#units.keys()) if (!number.has(unit)) visit(unit);
    return found;
  }
}
