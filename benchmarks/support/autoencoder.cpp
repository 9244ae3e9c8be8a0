#include "support/autoencoder.h"

#include <natgrad/optim/sparse_initialisation.h>

#include <array>

namespace benchmarks {

namespace nn = torch::nn;
namespace F = torch::nn::functional;

nn::Sequential make_autoencoder(uint64_t seed) {
  constexpr std::array<int64_t, 13> kWidths = {784, 400, 200, 100, 50,  25, 6,
                                               25,  50,  100, 200, 400, 784};
  constexpr size_t kLayers = kWidths.size() - 1, kCode = kLayers / 2 - 1;
  nn::Sequential model;
  for (size_t l = 0; l < kLayers; ++l) {
    model->push_back(nn::Linear(kWidths[l], kWidths[l + 1]));
    if (l != kCode && l + 1 != kLayers) model->push_back(nn::Sigmoid());
  }
  natgrad::sparse_initialisation(*model, natgrad::make_generator(seed));
  return model;
}

torch::Tensor reconstruction_loss(const torch::Tensor& z, const torch::Tensor& images) {
  const auto sum = F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kSum);
  return F::binary_cross_entropy_with_logits(z, images, sum) / static_cast<double>(images.size(0));
}

}  // namespace benchmarks
