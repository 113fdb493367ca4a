// Instance norm, ReLU and 2x2 average pooling in one pass over memory, forward and backward, on the CPU.
//
// Tensors are channels-last: y (N, H, W, 128), pooled p (N, H/2, W/2, 128); statistics are float (N, 128). Images go one
// by one: the activations of one fit the second-level cache, so main memory is read and written once. The inner loops
// run over a constant number of channels so that the compiler vectorises them. Threads are the caller's.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int C = 128;

struct BFloat16 {
    uint16_t bits;
};

inline float load(float value) { return value; }

inline float load(BFloat16 value) {
    const uint32_t wide = static_cast<uint32_t>(value.bits) << 16;
    float result;
    std::memcpy(&result, &wide, sizeof result);
    return result;
}

inline void store(float& to, float value) { to = value; }

// Round to nearest, ties to even. Not-a-numbers keep their upper half, which is never zero for those arithmetic makes.
inline void store(BFloat16& to, float value) {
    uint32_t wide;
    std::memcpy(&wide, &value, sizeof wide);
    const uint32_t rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
    const uint32_t kept = wide >> 16;
    to.bits = static_cast<uint16_t>((wide & 0x7fffffff) > 0x7f800000 ? kept : rounded);
}

// Mean and 1/sqrt(variance + eps) of each channel. Sums are of differences from the middle pixel, so that a channel
// with a large mean and a small spread loses no digits.
template <typename T>
void statistics(const T* y, int pixels, int middle, float eps, float* mean, float* rstd) {
    float origin[C], sum[C] = {}, squares[C] = {};
    for (int c = 0; c < C; ++c) origin[c] = load(y[middle * C + c]);
    for (int p = 0; p < pixels; ++p) {
        const T* pixel = y + static_cast<int64_t>(p) * C;
        for (int c = 0; c < C; ++c) {
            const float difference = load(pixel[c]) - origin[c];
            sum[c] += difference;
            squares[c] += difference * difference;
        }
    }
    for (int c = 0; c < C; ++c) {
        const float shift = sum[c] / pixels;
        const float variance = squares[c] / pixels - shift * shift;
        mean[c] = origin[c] + shift;
        rstd[c] = 1.0f / std::sqrt((variance > 0 ? variance : 0) + eps);
    }
}

template <typename T>
void forward(const T* y, const float* gamma, const float* beta, int64_t images, int height, int width, float eps,
             T* pooled, float* means, float* rstds) {
    const int pooled_height = height / 2, pooled_width = width / 2;
    for (int64_t n = 0; n < images; ++n) {
        const T* image = y + n * height * width * C;
        float *mean = means + n * C, *rstd = rstds + n * C;
        statistics(image, height * width, (height / 2) * width + width / 2, eps, mean, rstd);
        float slope[C], offset[C];
        for (int c = 0; c < C; ++c) {
            slope[c] = rstd[c] * gamma[c];
            offset[c] = beta[c] - mean[c] * slope[c];
        }
        T* out = pooled + n * pooled_height * pooled_width * C;
        for (int i = 0; i < pooled_height; ++i) {
            for (int j = 0; j < pooled_width; ++j, out += C) {
                const T* upper = image + (static_cast<int64_t>(2 * i) * width + 2 * j) * C;
                const T* lower = upper + static_cast<int64_t>(width) * C;
                for (int c = 0; c < C; ++c) {
                    const float a = load(upper[c]) * slope[c] + offset[c];
                    const float b = load(upper[C + c]) * slope[c] + offset[c];
                    const float d = load(lower[c]) * slope[c] + offset[c];
                    const float e = load(lower[C + c]) * slope[c] + offset[c];
                    const float sum = (a > 0 ? a : 0) + (b > 0 ? b : 0) + (d > 0 ? d : 0) + (e > 0 ? e : 0);
                    store(out[c], 0.25f * sum);
                }
            }
        }
    }
}

// With z = yhat * gamma + beta and dz the gradient that ReLU and pooling let through:
// dbeta = sum dz, dgamma = sum dz * yhat (here per image), dy = rstd * gamma * (dz - (dbeta + yhat * dgamma) / pixels).
// dy may be y: each element is read before it is written, and not again.
template <typename T>
void backward(const T* gradient, const T* y, const float* means, const float* rstds, const float* gamma,
              const float* beta, int64_t images, int height, int width, T* dy, float* dgammas, float* dbetas) {
    const int pooled_height = height / 2, pooled_width = width / 2, pixels = height * width;
    for (int64_t n = 0; n < images; ++n) {
        const T* image = y + n * pixels * C;
        const T* above = gradient + n * pooled_height * pooled_width * C;
        const float *mean = means + n * C, *rstd = rstds + n * C;
        float *dgamma = dgammas + n * C, *dbeta = dbetas + n * C;
        // yhat = y * scale + shift
        float scale[C], shift[C], sum[C] = {}, sum_yhat[C] = {};
        for (int c = 0; c < C; ++c) {
            scale[c] = rstd[c];
            shift[c] = -mean[c] * rstd[c];
        }
        for (int i = 0; i < 2 * pooled_height; ++i) {
            for (int j = 0; j < 2 * pooled_width; ++j) {
                const T* pixel = image + (static_cast<int64_t>(i) * width + j) * C;
                const T* from = above + (static_cast<int64_t>(i / 2) * pooled_width + j / 2) * C;
                for (int c = 0; c < C; ++c) {
                    const float yhat = load(pixel[c]) * scale[c] + shift[c];
                    const float passed = 0.25f * load(from[c]);
                    const float dz = yhat * gamma[c] + beta[c] > 0 ? passed : 0.0f;
                    sum[c] += dz;
                    sum_yhat[c] += dz * yhat;
                }
            }
        }
        float factor[C], constant[C], linear[C];
        for (int c = 0; c < C; ++c) {
            dgamma[c] = sum_yhat[c];
            dbeta[c] = sum[c];
            factor[c] = rstd[c] * gamma[c];
            constant[c] = sum[c] / pixels;
            linear[c] = sum_yhat[c] / pixels;
        }
        T* out = dy + n * pixels * C;
        for (int i = 0; i < height; ++i) {
            for (int j = 0; j < width; ++j) {
                const int64_t at = (static_cast<int64_t>(i) * width + j) * C;
                // A last odd row or column is not pooled: nothing comes down to it but through the statistics.
                const bool is_pooled = i / 2 < pooled_height && j / 2 < pooled_width;
                const T* from = above + (static_cast<int64_t>(i / 2) * pooled_width + j / 2) * C;
                const float weight = is_pooled ? 0.25f : 0.0f;
                if (!is_pooled) from = above;
                for (int c = 0; c < C; ++c) {
                    const float yhat = load(image[at + c]) * scale[c] + shift[c];
                    const float passed = weight * load(from[c]);
                    const float dz = yhat * gamma[c] + beta[c] > 0 ? passed : 0.0f;
                    store(out[at + c], factor[c] * (dz - constant[c] - yhat * linear[c]));
                }
            }
        }
    }
}

}  // namespace

#define FUSED_FOR(NAME, T)                                                                                            \
    extern "C" void norm_relu_pool_##NAME(const T* y, const float* gamma, const float* beta, int64_t images,          \
                                          int height, int width, float eps, T* pooled, float* mean, float* rstd) {    \
        forward(y, gamma, beta, images, height, width, eps, pooled, mean, rstd);                                      \
    }                                                                                                                 \
    extern "C" void norm_relu_pool_backward_##NAME(                                                                   \
        const T* gradient, const T* y, const float* mean, const float* rstd, const float* gamma, const float* beta,   \
        int64_t images, int height, int width, T* dy, float* dgamma, float* dbeta) {                                  \
        backward(gradient, y, mean, rstd, gamma, beta, images, height, width, dy, dgamma, dbeta);                     \
    }

FUSED_FOR(float32, float)
FUSED_FOR(bfloat16, BFloat16)
