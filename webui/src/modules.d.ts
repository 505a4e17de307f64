// SPDX-License-Identifier: Apache-2.0
declare module 'sample:*' {
  const url: string;
  export default url;
}
declare module '*.css';
