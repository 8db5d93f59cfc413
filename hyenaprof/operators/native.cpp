// The pointwise stages between the transforms of a gated long convolution, each in one pass over its rows.
//
// Rows are channels, contiguous along the sequence; a leading dimension (ld) is the distance between rows, in elements.
// A short filter has three taps: s[t] = bias + w[2] z[t] + w[1] z[t-1] + w[0] z[t-2], with zeros before the beginning.

#include <cstdint>

namespace {

using Index = std::int64_t;

constexpr Index kBlock = 4096;  // terms summed in float before the sum goes on in double

struct Filter {
  float early, middle, late, bias;

  Filter(const float* weight, const float* biases, Index row)
      : early(weight[3 * row]), middle(weight[3 * row + 1]), late(weight[3 * row + 2]), bias(biases[row]) {}

  float first(const float* z) const { return bias + late * z[0]; }
  float second(const float* z) const { return bias + late * z[1] + middle * z[0]; }
  float at(const float* z, Index t) const { return bias + late * z[t] + middle * z[t - 1] + early * z[t - 2]; }
};

}  // namespace

extern "C" {

// out = (short filter of a) * (short filter of b)
void gate_streams(Index rows, Index length, const float* a, Index lda, const float* weight_a, const float* bias_a,
                  const float* b, Index ldb, const float* weight_b, const float* bias_b, float* out, Index ldo) {
#pragma omp parallel for schedule(static)
  for (Index row = 0; row < rows; ++row) {
    const float* za = a + row * lda;
    const float* zb = b + row * ldb;
    float* u = out + row * ldo;
    const Filter fa(weight_a, bias_a, row), fb(weight_b, bias_b, row);
    u[0] = fa.first(za) * fb.first(zb);
    if (length > 1) u[1] = fa.second(za) * fb.second(zb);
#pragma omp simd
    for (Index t = 2; t < length; ++t) u[t] = fa.at(za, t) * fb.at(zb, t);
  }
}

// out = (short filter of z) * v; kept = v where kept is given
void gate_signal(Index rows, Index length, const float* z, Index ldz, const float* weight, const float* bias,
                 const float* v, Index ldv, float* out, Index ldo, float* kept, Index ldk) {
#pragma omp parallel for schedule(static)
  for (Index row = 0; row < rows; ++row) {
    const float* zr = z + row * ldz;
    const float* vr = v + row * ldv;
    float* o = out + row * ldo;
    const Filter f(weight, bias, row);
    o[0] = f.first(zr) * vr[0];
    if (length > 1) o[1] = f.second(zr) * vr[1];
#pragma omp simd
    for (Index t = 2; t < length; ++t) o[t] = f.at(zr, t) * vr[t];
    if (kept) {
      float* k = kept + row * ldk;
#pragma omp simd
      for (Index t = 0; t < length; ++t) k[t] = vr[t];
    }
  }
}

// y = s v with s the short filter of z: dv = dy s, ds = dy v, and y again where it is given
void ungate_signal(Index rows, Index length, const float* z, Index ldz, const float* weight, const float* bias,
                   const float* v, Index ldv, const float* dy, Index ldy, float* dv, Index lddv, float* ds, Index lds,
                   float* y, Index ldyy) {
#pragma omp parallel for schedule(static)
  for (Index row = 0; row < rows; ++row) {
    const float* zr = z + row * ldz;
    const float* vr = v + row * ldv;
    const float* g = dy + row * ldy;
    float* dvr = dv + row * lddv;
    float* dsr = ds + row * lds;
    float* yr = y ? y + row * ldyy : nullptr;
    const Filter f(weight, bias, row);
    const Index head = length < 2 ? length : 2;
    for (Index t = 0; t < head; ++t) {
      const float s = t ? f.second(zr) : f.first(zr);
      dvr[t] = g[t] * s;
      dsr[t] = g[t] * vr[t];
      if (yr) yr[t] = s * vr[t];
    }
    if (yr) {
#pragma omp simd
      for (Index t = 2; t < length; ++t) {
        const float s = f.at(zr, t);
        dvr[t] = g[t] * s;
        dsr[t] = g[t] * vr[t];
        yr[t] = s * vr[t];
      }
    } else {
#pragma omp simd
      for (Index t = 2; t < length; ++t) {
        dvr[t] = g[t] * f.at(zr, t);
        dsr[t] = g[t] * vr[t];
      }
    }
  }
}

// u = s_a s_b: ds_a = du s_b, ds_b = du s_a
void ungate_streams(Index rows, Index length, const float* a, Index lda, const float* weight_a, const float* bias_a,
                    const float* b, Index ldb, const float* weight_b, const float* bias_b, const float* du, Index ldu,
                    float* dsa, Index ldsa, float* dsb, Index ldsb) {
#pragma omp parallel for schedule(static)
  for (Index row = 0; row < rows; ++row) {
    const float* za = a + row * lda;
    const float* zb = b + row * ldb;
    const float* g = du + row * ldu;
    float* da = dsa + row * ldsa;
    float* db = dsb + row * ldsb;
    const Filter fa(weight_a, bias_a, row), fb(weight_b, bias_b, row);
    const Index head = length < 2 ? length : 2;
    for (Index t = 0; t < head; ++t) {
      da[t] = g[t] * (t ? fb.second(zb) : fb.first(zb));
      db[t] = g[t] * (t ? fa.second(za) : fa.first(za));
    }
#pragma omp simd
    for (Index t = 2; t < length; ++t) {
      da[t] = g[t] * fb.at(zb, t);
      db[t] = g[t] * fa.at(za, t);
    }
  }
}

// dz = adjoint of the short filter on ds; dweight and dbias are added to
void unfilter(Index rows, Index length, const float* ds, Index lds, const float* z, Index ldz, const float* weight,
              float* dz, Index lddz, float* dweight, float* dbias) {
#pragma omp parallel for schedule(static)
  for (Index row = 0; row < rows; ++row) {
    const float* g = ds + row * lds;
    const float* zr = z + row * ldz;
    float* d = dz + row * lddz;
    const float early = weight[3 * row], middle = weight[3 * row + 1], late = weight[3 * row + 2];
    double sum = 0, met_late = 0, met_middle = 0, met_early = 0;
    const Index head = length < 2 ? length : 2;
    for (Index t = 0; t < head; ++t) {
      sum += g[t];
      met_late += g[t] * zr[t];
      if (t) met_middle += g[t] * zr[t - 1];
    }
    for (Index start = 2; start < length; start += kBlock) {
      const Index stop = start + kBlock < length ? start + kBlock : length;
      float s = 0, l = 0, m = 0, e = 0;
#pragma omp simd reduction(+ : s, l, m, e)
      for (Index t = start; t < stop; ++t) {
        s += g[t];
        l += g[t] * zr[t];
        m += g[t] * zr[t - 1];
        e += g[t] * zr[t - 2];
      }
      sum += s;
      met_late += l;
      met_middle += m;
      met_early += e;
    }
#pragma omp simd
    for (Index t = 0; t < length - 2; ++t) d[t] = late * g[t] + middle * g[t + 1] + early * g[t + 2];
    if (length > 1) d[length - 2] = late * g[length - 2] + middle * g[length - 1];
    d[length - 1] = late * g[length - 1];
    dweight[3 * row] += static_cast<float>(met_early);
    dweight[3 * row + 1] += static_cast<float>(met_middle);
    dweight[3 * row + 2] += static_cast<float>(met_late);
    dbias[row] += static_cast<float>(sum);
  }
}

}  // extern "C"
