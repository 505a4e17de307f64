// SPDX-License-Identifier: Apache-2.0
import cells from 'sample:cells.png';
import craters from 'sample:craters.png';
import fog from 'sample:fog.png';

export interface Sample {
  url: string;
  filename: string;
  title: string;
  about: string;
}

export const k_samples: readonly Sample[] = [
  { url: fog, filename: 'fog.png', title: 'Fog', about: 'colour, 8 bit' },
  { url: cells, filename: 'cells.png', title: 'Cells', about: 'gray, 16 bit' },
  { url: craters, filename: 'craters.png', title: 'Craters', about: 'gray, 8 bit' },
];
