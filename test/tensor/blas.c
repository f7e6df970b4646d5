// Stands in for Accelerate: cblas_sgemm by its definition, row-major, in plain loops, summed in double from the last k to the first
// (no order of ours). What breaks the definition's rules for leading dimensions leaves C as it is, as a BLAS does.

enum { ROW_MAJOR = 101, AS_IS = 111, TRANSPOSED = 112 };

void cblas_sgemm(int order, int opA, int opB, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                 float beta, float *c, int ldc) {
  const int knownA = opA == AS_IS || opA == TRANSPOSED, knownB = opB == AS_IS || opB == TRANSPOSED;
  if (order != ROW_MAJOR || !knownA || !knownB || m < 0 || n < 0 || k < 0) return;
  if (lda < (opA == AS_IS ? k : m) || ldb < (opB == AS_IS ? n : k) || ldc < n) return;
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int x = k - 1; x >= 0; x--) {
        const float left = opA == AS_IS ? a[(long)i * lda + x] : a[(long)x * lda + i];
        sum += (double)left * (opB == AS_IS ? b[(long)x * ldb + j] : b[(long)j * ldb + x]);
      }
      float *to = c + (long)i * ldc + j;
      *to = (float)(alpha * sum + (beta == 0 ? 0 : beta * *to));
    }
  }
}
