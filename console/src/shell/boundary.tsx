import { Component, type ComponentChildren } from "preact";
import { Notice } from "../parts/notice";
import { text } from "../text";

interface Props {
  /** Where one is: elsewhere it is tried again. */
  path: string;
  children: ComponentChildren;
}

interface State {
  /** Where it broke. */
  broken: string | null;
}

/** A mistake in one page leaves the others as they are. */
export class Boundary extends Component<Props, State> {
  override state: State = { broken: null };

  static override getDerivedStateFromProps(
    { path }: Props,
    { broken }: State,
  ): Partial<State> | null {
    return broken === null || broken === path ? null : { broken: null };
  }

  override componentDidCatch(error: unknown): void {
    this.setState({ broken: this.props.path });
    // For whoever looks into the browser's console.
    reportError(error);
  }

  override render() {
    return this.state.broken === null ? (
      this.props.children
    ) : (
      <Notice kind="bad">{text.broken}</Notice>
    );
  }
}
