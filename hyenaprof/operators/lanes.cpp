// Convolutions of real signals, eight channels in the lanes of a vector: no shuffles inside a transform.
//
// A linear convolution of length L is a cyclic one of M >= L points once signals are turned by r^t with r^M = i: what wraps
// round comes back times i, and the wanted values are the real part. So a transform has M complex points, not 2L real ones,
// and products of spectra need no order: decimation in frequency leaves them as they fall, its mirror image takes them so.
//
// A block is eight rows; its spectrum is [M][re, im][8]. Twiddles of each size M, M/4, ... are w^j, w^2j, w^3j for j < n/4.

#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace {

using Index = std::int64_t;

constexpr Index kLanes = 8;
constexpr Index kInCache = 256;  // points: a transform of these stays in a core's first cache

typedef float Lanes __attribute__((vector_size(4 * kLanes), aligned(4 * kLanes)));

struct Complex {
  Lanes re, im;
};

inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
inline Complex times(Complex a, float re, float im) { return {a.re * re - a.im * im, a.im * re + a.re * im}; }

const float* next(const float* twiddles, Index points) { return twiddles + 6 * (points / 4); }

void scatter(Complex* s, Index points, const float* w) {
  const Index q = points / 4;
  for (Index j = 0; j < q; ++j, w += 6) {
    const Complex a = s[j], b = s[j + q], c = s[j + 2 * q], d = s[j + 3 * q];
    const Complex even = a + c, odd = a - c, sum = b + d, gap = b - d;
    const Complex turned = {gap.im, -gap.re};
    s[j] = even + sum;
    s[j + q] = times(odd + turned, w[0], w[1]);
    s[j + 2 * q] = times(even - sum, w[2], w[3]);
    s[j + 3 * q] = times(odd - turned, w[4], w[5]);
  }
}

void gather(Complex* s, Index points, const float* w) {
  const Index q = points / 4;
  for (Index j = 0; j < q; ++j, w += 6) {
    const Complex a = s[j], b = times(s[j + q], w[0], -w[1]), c = times(s[j + 2 * q], w[2], -w[3]),
                  d = times(s[j + 3 * q], w[4], -w[5]);
    const Complex even = a + c, odd = a - c, sum = b + d, gap = b - d;
    const Complex turned = {-gap.im, gap.re};
    s[j] = even + sum;
    s[j + q] = odd + turned;
    s[j + 2 * q] = even - sum;
    s[j + 3 * q] = odd - turned;
  }
}

void pairs(Complex* s, Index points) {
  for (Index j = 0; j < points; j += 2) {
    const Complex a = s[j], b = s[j + 1];
    s[j] = a + b;
    s[j + 1] = a - b;
  }
}

void forward(Complex* s, Index points, const float* twiddles) {
  if (points > kInCache) {
    scatter(s, points, twiddles);
    for (Index k = 0; k < 4; ++k) forward(s + k * (points / 4), points / 4, next(twiddles, points));
    return;
  }
  Index size = points;
  for (; size >= 4; twiddles = next(twiddles, size), size /= 4)
    for (Index start = 0; start < points; start += size) scatter(s + start, size, twiddles);
  if (size == 2) pairs(s, points);
}

void inverse(Complex* s, Index points, const float* twiddles) {
  if (points > kInCache) {
    for (Index k = 0; k < 4; ++k) inverse(s + k * (points / 4), points / 4, next(twiddles, points));
    gather(s, points, twiddles);
    return;
  }
  const float* tables[32];
  Index sizes[32], count = 0, size = points;
  for (; size >= 4; twiddles = next(twiddles, size), size /= 4) {
    tables[count] = twiddles;
    sizes[count++] = size;
  }
  if (size == 2) pairs(s, points);
  while (count-- > 0)
    for (Index start = 0; start < points; start += sizes[count]) gather(s + start, sizes[count], tables[count]);
}

void multiply(Complex* s, const Complex* h, Index points) {
  for (Index k = 0; k < points; ++k)
    s[k] = Complex{s[k].re * h[k].re - s[k].im * h[k].im, s[k].im * h[k].re + s[k].re * h[k].im};
}

// inverse(forward(s) h): what has been scattered into a cache is transformed, multiplied and gathered before it leaves.
void convolve(Complex* s, const Complex* h, Index points, const float* twiddles) {
  if (points > kInCache) {
    const Index q = points / 4;
    scatter(s, points, twiddles);
    for (Index k = 0; k < 4; ++k) convolve(s + k * q, h + k * q, q, next(twiddles, points));
    gather(s, points, twiddles);
    return;
  }
  forward(s, points, twiddles);
  multiply(s, h, points);
  inverse(s, points, twiddles);
}

// Eight vectors of eight lanes, the other way about.
inline void transpose(Lanes* v) {
  for (Index i = 0; i < 8; i += 2) {
    const Lanes a = v[i], b = v[i + 1];
    v[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    v[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (Index i : {0, 1, 4, 5}) {
    const Lanes a = v[i], b = v[i + 2];
    v[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    v[i + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (Index i = 0; i < 4; ++i) {
    const Lanes a = v[i], b = v[i + 4];
    v[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    v[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

Index blocks(Index rows) { return (rows + kLanes - 1) / kLanes; }

// Rows [length], turned by the twist, into the lanes; lanes past the last row repeat it.
void load(Index block, Index rows, Index length, Index points, const float* signal, Index ld, const float* twist,
          Complex* s) {
  const float* row[kLanes];
  for (Index lane = 0; lane < kLanes; ++lane) {
    const Index wanted = block * kLanes + lane;
    row[lane] = signal + (wanted < rows ? wanted : rows - 1) * ld;
  }
  const Index whole = length - length % kLanes;
  for (Index t = 0; t < whole; t += kLanes) {
    Lanes u[kLanes];
    for (Index lane = 0; lane < kLanes; ++lane) std::memcpy(&u[lane], row[lane] + t, sizeof(Lanes));
    transpose(u);
    for (Index k = 0; k < kLanes; ++k) s[t + k] = Complex{u[k] * twist[2 * (t + k)], u[k] * twist[2 * (t + k) + 1]};
  }
  for (Index t = whole; t < length; ++t) {
    Lanes u;
    for (Index lane = 0; lane < kLanes; ++lane) u[lane] = row[lane][t];
    s[t] = Complex{u * twist[2 * t], u * twist[2 * t + 1]};
  }
  for (Index t = length; t < points; ++t) s[t] = Complex{Lanes{}, Lanes{}};
}

// The other way.
void store(Index block, Index rows, Index length, Index points, const Complex* s, const float* twist, float* signal,
           Index ld) {
  const float scale = 1.0f / static_cast<float>(points);
  const Index here = rows - block * kLanes < kLanes ? rows - block * kLanes : kLanes;
  float* out = signal + block * kLanes * ld;
  const Index whole = length - length % kLanes;
  for (Index t = 0; t < whole; t += kLanes) {
    Lanes y[kLanes];
    for (Index k = 0; k < kLanes; ++k)
      y[k] = s[t + k].re * (twist[2 * (t + k)] * scale) + s[t + k].im * (twist[2 * (t + k) + 1] * scale);
    transpose(y);
    for (Index lane = 0; lane < here; ++lane) std::memcpy(out + lane * ld + t, &y[lane], sizeof(Lanes));
  }
  for (Index t = whole; t < length; ++t) {
    const Lanes y = s[t].re * (twist[2 * t] * scale) + s[t].im * (twist[2 * t + 1] * scale);
    for (Index lane = 0; lane < here; ++lane) out[lane * ld + t] = y[lane];
  }
}

}  // namespace

extern "C" {

// The transforms of rows [length].
void lanes_spectrum(Index rows, Index length, Index points, const float* signal, Index ld, const float* twist,
                    const float* twiddles, Complex* spectra) {
#pragma omp parallel for schedule(static)
  for (Index block = 0; block < blocks(rows); ++block) {
    Complex* s = spectra + block * points;
    load(block, rows, length, points, signal, ld, twist, s);
    forward(s, points, twiddles);
  }
}

// The other way, in place, into rows [length].
void lanes_signal(Index rows, Index length, Index points, Complex* spectra, const float* twist, const float* twiddles,
                  float* signal, Index ld) {
#pragma omp parallel for schedule(static)
  for (Index block = 0; block < blocks(rows); ++block) {
    Complex* s = spectra + block * points;
    inverse(s, points, twiddles);
    store(block, rows, length, points, s, twist, signal, ld);
  }
}

// Rows [length], each with the filter whose transform is given, into rows [length]; `spectra` is scratch.
void lanes_convolve(Index rows, Index length, Index points, const float* signal, Index lds, const float* twist,
                    const float* twiddles, const Complex* filters, Complex* spectra, float* out, Index ldo) {
#pragma omp parallel for schedule(static)
  for (Index block = 0; block < blocks(rows); ++block) {
    Complex* s = spectra + block * points;
    load(block, rows, length, points, signal, lds, twist, s);
    convolve(s, filters + block * points, points, twiddles);
    store(block, rows, length, points, s, twist, out, ldo);
  }
}

// dh += g conj(u), g = g conj(h)
void lanes_unconvolve(Index points, Complex* g, const Complex* u, const Complex* h, Complex* dh) {
#pragma omp parallel for schedule(static)
  for (Index k = 0; k < points; ++k) {
    const Complex a = g[k];
    dh[k] = dh[k] + Complex{a.re * u[k].re + a.im * u[k].im, a.im * u[k].re - a.re * u[k].im};
    g[k] = Complex{a.re * h[k].re + a.im * h[k].im, a.im * h[k].re - a.re * h[k].im};
  }
}

}  // extern "C"
