// A gate in a canal, half raised.

import logo from "../style/logo.svg";

export function Logo({ size = 26 }: { size?: number }) {
  return <img src={logo} width={size} height={size} alt="" />;
}
