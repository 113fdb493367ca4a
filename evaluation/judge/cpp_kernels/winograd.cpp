// The judge's 3x3 convolutions from 128 to 128 channels by Winograd's algorithm F(4x4, 3x3), and their gradients, in
// float32 on the CPU (Lavin and Gray, 2015). A tile of 4x4 outputs takes 36 products for each pair of channels, where
// the definition takes 144.
//
// Tensors are channels-last: x and y (N, H, W, 128), H and W multiples of 4; weights (3, 3, 128 in, 128 out). Tiles go
// through in blocks small enough for the caches: transform, 36 matrix products, transform back. Inner loops run over a
// constant number of channels so that the compiler vectorises them. Threads are the caller's.

#include <algorithm>
#include <cstdint>

namespace {

constexpr int C = 128;
constexpr int KERNEL = 3, TAPS = KERNEL * KERNEL, OUT = 4, IN = OUT + KERNEL - 1, POINTS = IN * IN;

#if defined(__AVX512F__) || defined(AS_WITH_AVX512)
constexpr int LANES = 16, VECTORS = 4;
#else
constexpr int LANES = 8, VECTORS = 2;
#endif
constexpr int ROWS = 6, COLUMNS = VECTORS * LANES;  // of a product that stays in registers
constexpr int BLOCK = 16 * ROWS;                    // tiles that go through together
constexpr int WHOLE = C / ROWS * ROWS;              // channels in whole groups of rows

typedef float Vector __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

inline Vector& at(float* values) { return *reinterpret_cast<Vector*>(values); }
inline const Vector& at(const float* values) { return *reinterpret_cast<const Vector*>(values); }

// B^T, G and A^T of the paper for the points 0, 1, -1, 2, -2 and infinity, of the elements of a row or column that lie
// `from` or `to` apart; and their transposes, for the gradients.

inline void input_transform(const Vector* x, int from, Vector* v, int to) {
    const Vector x0 = x[0], x1 = x[from], x2 = x[2 * from], x3 = x[3 * from], x4 = x[4 * from], x5 = x[5 * from];
    const Vector even = x4 - 4 * x2, odd = x3 - 4 * x1, half_even = x4 - x2, half_odd = 2 * (x3 - x1);
    v[0] = 4 * x0 - 5 * x2 + x4;
    v[to] = even + odd;
    v[2 * to] = even - odd;
    v[3 * to] = half_even + half_odd;
    v[4 * to] = half_even - half_odd;
    v[5 * to] = 4 * x1 - 5 * x3 + x5;
}

inline void weight_transform(const Vector* w, int from, Vector* u, int to) {
    const Vector w0 = w[0], w1 = w[from], w2 = w[2 * from];
    const Vector outer = (w0 + w2) * (-1.0f / 6), middle = w1 * (-1.0f / 6);
    const Vector far_outer = w0 * (1.0f / 24) + w2 * (1.0f / 6), far_middle = w1 * (1.0f / 12);
    u[0] = 0.25f * w0;
    u[to] = outer + middle;
    u[2 * to] = outer - middle;
    u[3 * to] = far_outer + far_middle;
    u[4 * to] = far_outer - far_middle;
    u[5 * to] = w2;
}

inline void output_transform(const Vector* m, int from, Vector* y, int to) {
    const Vector m0 = m[0], m1 = m[from], m2 = m[2 * from], m3 = m[3 * from], m4 = m[4 * from], m5 = m[5 * from];
    const Vector sum = m1 + m2, difference = m1 - m2, far_sum = m3 + m4, far_difference = m3 - m4;
    y[0] = m0 + sum + far_sum;
    y[to] = difference + 2 * far_difference;
    y[2 * to] = sum + 4 * far_sum;
    y[3 * to] = difference + 8 * far_difference + m5;
}

inline void output_transform_transposed(const Vector* y, int from, Vector* m, int to) {
    const Vector y0 = y[0], y1 = y[from], y2 = y[2 * from], y3 = y[3 * from];
    const Vector even = y0 + y2, odd = y1 + y3, far_even = y0 + 4 * y2, far_odd = 2 * y1 + 8 * y3;
    m[0] = y0;
    m[to] = even + odd;
    m[2 * to] = even - odd;
    m[3 * to] = far_even + far_odd;
    m[4 * to] = far_even - far_odd;
    m[5 * to] = y3;
}

inline void weight_transform_transposed(const Vector* u, int from, Vector* w, int to) {
    const Vector u0 = u[0], u1 = u[from], u2 = u[2 * from], u3 = u[3 * from], u4 = u[4 * from], u5 = u[5 * from];
    const Vector sum = (u1 + u2) * (-1.0f / 6), far_sum = u3 + u4;
    w[0] = 0.25f * u0 + sum + far_sum * (1.0f / 24);
    w[to] = (u2 - u1) * (1.0f / 6) + (u3 - u4) * (1.0f / 12);
    w[2 * to] = sum + far_sum * (1.0f / 6) + u5;
}

// A transform of a square: its columns, then its rows.
template <int SIDE_IN, int SIDE_OUT, void transform(const Vector*, int, Vector*, int)>
inline void both_ways(const Vector* from, Vector* to) {
    Vector between[SIDE_OUT * SIDE_IN];
    for (int j = 0; j < SIDE_IN; ++j) transform(from + j, SIDE_IN, between + j, SIDE_IN);
    for (int i = 0; i < SIDE_OUT; ++i) transform(between + i * SIDE_IN, 1, to + i * SIDE_OUT, 1);
}

struct Tiles {
    int height, width;  // of an image, pixels

    int across() const { return width / OUT; }
    int of_image() const { return (height / OUT) * across(); }
    int64_t image(int64_t tile) const { return tile / of_image(); }
    int top(int64_t tile) const { return static_cast<int>(tile % of_image()) / across() * OUT; }
    int left(int64_t tile) const { return static_cast<int>(tile % of_image()) % across() * OUT; }
    int64_t pixel(int64_t n, int i, int j) const { return ((n * height + i) * width + j) * C; }
};

// Where channel c of a tile, or of an input channel, lies in a block for each of the 36 points: in rows of all channels,
// or in panels of COLUMNS of them. A line of padding keeps the points of a tile out of each other's place in the caches.
constexpr int PADDING = 16;
inline int64_t row(int point, int tile, int c) {
    return static_cast<int64_t>(point) * (BLOCK * C + PADDING) + tile * C + c;
}
template <int SIZE>
inline int64_t panel(int point, int tile, int c) {
    return static_cast<int64_t>(point) * (SIZE * C + PADDING) + (c / COLUMNS * SIZE + tile) * COLUMNS + c % COLUMNS;
}
constexpr int64_t BLOCK_SIZE = POINTS * (BLOCK * C + PADDING), WEIGHTS_SIZE = POINTS * (C * C + PADDING);

void transform_inputs(const float* x, Tiles tiles, int64_t first, int count, float* v) {
    for (int t = 0; t < count; ++t) {
        const int64_t n = tiles.image(first + t);
        const int top = tiles.top(first + t) - 1, left = tiles.left(first + t) - 1;
        for (int c = 0; c < C; c += LANES) {
            Vector patch[POINTS], points[POINTS];
            for (int i = 0; i < IN; ++i) {
                for (int j = 0; j < IN; ++j) {
                    const bool is_inside =
                        top + i >= 0 && top + i < tiles.height && left + j >= 0 && left + j < tiles.width;
                    patch[i * IN + j] = is_inside ? at(x + tiles.pixel(n, top + i, left + j) + c) : Vector{};
                }
            }
            both_ways<IN, IN, input_transform>(patch, points);
            for (int p = 0; p < POINTS; ++p) at(v + row(p, t, c)) = points[p];
        }
    }
}

void transform_weights(const float* weights, float* u) {
    for (int k = 0; k < C; ++k) {
        for (int c = 0; c < C; c += LANES) {
            Vector taps[TAPS], points[POINTS];
            for (int tap = 0; tap < TAPS; ++tap) taps[tap] = at(weights + (tap * C + k) * C + c);
            both_ways<KERNEL, IN, weight_transform>(taps, points);
            for (int p = 0; p < POINTS; ++p) at(u + panel<C>(p, k, c)) = points[p];
        }
    }
}

// to (HEIGHT, COLUMNS) = or += the sum over k of a[k * a_step + r * a_row] * b (k, COLUMNS).
template <bool ADDS, int HEIGHT>
inline void multiply_in_registers(const float* a, int a_step, int a_row, const float* b, int depth, float* to,
                                  int to_row) {
    Vector sums[HEIGHT][VECTORS];
    for (int r = 0; r < HEIGHT; ++r)
        for (int i = 0; i < VECTORS; ++i) sums[r][i] = ADDS ? at(to + r * to_row + i * LANES) : Vector{};
    for (int k = 0; k < depth; ++k) {
        Vector values[VECTORS];
        for (int i = 0; i < VECTORS; ++i) values[i] = at(b + k * COLUMNS + i * LANES);
        for (int r = 0; r < HEIGHT; ++r) {
            const float factor = a[k * a_step + r * a_row];
            for (int i = 0; i < VECTORS; ++i) sums[r][i] += factor * values[i];
        }
    }
    for (int r = 0; r < HEIGHT; ++r)
        for (int i = 0; i < VECTORS; ++i) at(to + r * to_row + i * LANES) = sums[r][i];
}

void transform_outputs(const float* m, Tiles tiles, int64_t first, int count, float* y) {
    for (int t = 0; t < count; ++t) {
        const int64_t n = tiles.image(first + t);
        const int top = tiles.top(first + t), left = tiles.left(first + t);
        for (int c = 0; c < C; c += LANES) {
            Vector points[POINTS], outputs[OUT * OUT];
            for (int p = 0; p < POINTS; ++p) points[p] = at(m + row(p, t, c));
            both_ways<IN, OUT, output_transform>(points, outputs);
            for (int i = 0; i < OUT; ++i)
                for (int j = 0; j < OUT; ++j) at(y + tiles.pixel(n, top + i, left + j) + c) = outputs[i * OUT + j];
        }
    }
}

void transform_output_gradients(const float* dy, Tiles tiles, int64_t first, int count, float* dm) {
    for (int t = 0; t < count; ++t) {
        const int64_t n = tiles.image(first + t);
        const int top = tiles.top(first + t), left = tiles.left(first + t);
        for (int c = 0; c < C; c += LANES) {
            Vector outputs[OUT * OUT], points[POINTS];
            for (int i = 0; i < OUT; ++i)
                for (int j = 0; j < OUT; ++j) outputs[i * OUT + j] = at(dy + tiles.pixel(n, top + i, left + j) + c);
            both_ways<OUT, IN, output_transform_transposed>(outputs, points);
            for (int p = 0; p < POINTS; ++p) at(dm + panel<BLOCK>(p, t, c)) = points[p];
        }
    }
}

// `work(first, count)` for each block of tiles.
template <typename Work>
void in_blocks(int64_t tiles, Work work) {
    for (int64_t first = 0; first < tiles; first += BLOCK)
        work(first, static_cast<int>(tiles - first < BLOCK ? tiles - first : BLOCK));
}

}  // namespace

// Elements of the working memory that either function below is to be given.
extern "C" int64_t winograd_scratch() { return WEIGHTS_SIZE + 2 * BLOCK_SIZE; }

// y = the convolution of x with `weights`, padded by a pixel of zeros. With the kernel turned by 180 degrees and its
// channels exchanged it takes the gradient of y to that of x.
extern "C" void winograd_convolve(const float* x, const float* weights, int64_t images, int height, int width,
                                  float* scratch, float* y) {
    float *u = scratch, *v = u + WEIGHTS_SIZE, *m = v + BLOCK_SIZE;
    const Tiles tiles{height, width};
    transform_weights(weights, u);
    in_blocks(images * tiles.of_image(), [&](int64_t first, int count) {
        transform_inputs(x, tiles, first, count, v);
        // whole groups of rows: what the last one computes beyond the tiles is not looked at
        for (int p = 0; p < POINTS; ++p)
            for (int c = 0; c < C; c += COLUMNS)
                for (int t = 0; t < count; t += ROWS)
                    multiply_in_registers<false, ROWS>(v + row(p, t, 0), 1, C, u + panel<C>(p, 0, c), C,
                                                       m + row(p, t, c), C);
        transform_outputs(m, tiles, first, count, y);
    });
}

// The gradient of the weights for that of y.
extern "C" void winograd_weight_gradient(const float* x, const float* dy, int64_t images, int height, int width,
                                         float* scratch, float* dweights) {
    float *du = scratch, *v = du + WEIGHTS_SIZE, *dm = v + BLOCK_SIZE;
    const Tiles tiles{height, width};
    std::fill(du, v, 0.0f);
    in_blocks(images * tiles.of_image(), [&](int64_t first, int count) {
        transform_inputs(x, tiles, first, count, v);
        transform_output_gradients(dy, tiles, first, count, dm);
        for (int p = 0; p < POINTS; ++p)
            for (int c = 0; c < C; c += COLUMNS) {
                const float* b = dm + panel<BLOCK>(p, 0, c);
                for (int k = 0; k < WHOLE; k += ROWS)
                    multiply_in_registers<true, ROWS>(v + row(p, 0, k), C, 1, b, count, du + panel<C>(p, k, c),
                                                      COLUMNS);
                multiply_in_registers<true, C - WHOLE>(v + row(p, 0, WHOLE), C, 1, b, count, du + panel<C>(p, WHOLE, c),
                                                       COLUMNS);
            }
    });
    for (int k = 0; k < C; ++k) {
        for (int c = 0; c < C; c += LANES) {
            Vector points[POINTS], taps[TAPS];
            for (int p = 0; p < POINTS; ++p) points[p] = at(du + panel<C>(p, k, c));
            both_ways<IN, KERNEL, weight_transform_transposed>(points, taps);
            for (int tap = 0; tap < TAPS; ++tap) at(dweights + (tap * C + k) * C + c) = taps[tap];
        }
    }
}
