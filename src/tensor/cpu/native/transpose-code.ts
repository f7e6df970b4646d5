// A square of 16 vectors of 16 words turned, in registers: 64 shuffles.

import type { Assembler } from './assembler.ts'

/** Registers 0–15 are the rows and become the columns; 16–31 are overwritten. */
export function transpose16(code: Assembler): void {
  // floats of two rows in turns, then pairs of four rows: each quarter q of row 4g + j holds column 4q + j of rows 4g … 4g + 3
  for (let row = 0; row < 16; row += 2) {
    code.interleave('lower', 16 + row, row, row + 1)
    code.interleave('upper', 17 + row, row, row + 1)
  }
  for (let g = 0; g < 16; g += 4) {
    code.interleavePairs('lower', g, 16 + g, 18 + g)
    code.interleavePairs('upper', g + 1, 16 + g, 18 + g)
    code.interleavePairs('lower', g + 2, 17 + g, 19 + g)
    code.interleavePairs('upper', g + 3, 17 + g, 19 + g)
  }
  // a square of 4 × 4 quarters for each j
  for (let j = 0; j < 4; j++) {
    code.quarters('even', 16 + j, j, 4 + j)
    code.quarters('odd', 20 + j, j, 4 + j)
    code.quarters('even', 24 + j, 8 + j, 12 + j)
    code.quarters('odd', 28 + j, 8 + j, 12 + j)
  }
  for (let j = 0; j < 4; j++) {
    code.quarters('even', j, 16 + j, 24 + j)
    code.quarters('even', 4 + j, 20 + j, 28 + j)
    code.quarters('odd', 8 + j, 16 + j, 24 + j)
    code.quarters('odd', 12 + j, 20 + j, 28 + j)
  }
}
