// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import { parse_route, type Route } from './route';

export function use_route(): Route {
  const [route, set_route] = useState(() => parse_route(location.hash));
  useEffect(() => {
    const changed = () => set_route(parse_route(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
