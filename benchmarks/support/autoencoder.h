#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace benchmarks {

/// The deep autoencoder of Hinton & Salakhutdinov (2006) for curves, 784-400-200-100-50-25-6 and
/// back: logistic hidden units, a linear code of 6, and a logit for each pixel. Martens' sparse
/// initialisation (2010, section 5), by the seed.
torch::nn::Sequential make_autoencoder(uint64_t seed);

/// -log r(images|z) in nats an image, r independent Bernoulli distributions with the logits z.
torch::Tensor reconstruction_loss(const torch::Tensor& z, const torch::Tensor& images);

}  // namespace benchmarks
