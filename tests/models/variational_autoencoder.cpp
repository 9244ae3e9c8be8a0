// A variational autoencoder with the analytic divergence from a standard normal, written by hand.

#include <memory>

#include "models/models.h"
#include "models/pictures.h"

namespace zoo {
namespace {

struct Vae : torch::nn::Module {
  Vae()
      : encoder(register_module("encoder", torch::nn::Linear(64, 32))),
        mean(register_module("mean", torch::nn::Linear(32, 4))),
        log_variance(register_module("log_variance", torch::nn::Linear(32, 4))),
        decoder(register_module("decoder", torch::nn::Linear(4, 32))),
        pixels(register_module("pixels", torch::nn::Linear(32, 64))) {}

  Tensor loss(const Tensor& x) {
    const auto h = torch::relu(encoder->forward(x));
    const auto mu = mean->forward(h), logvar = log_variance->forward(h);
    const auto z = mu + torch::exp(0.5 * logvar) * torch::randn_like(mu);
    const auto logits = pixels->forward(torch::relu(decoder->forward(z)));
    const auto bce = torch::binary_cross_entropy_with_logits(logits, x, {}, {}, at::Reduction::Sum);
    const auto kld = -0.5 * torch::sum(1 + logvar - mu.pow(2) - logvar.exp());
    return (bce + kld) / x.size(0);
  }

  torch::nn::Linear encoder, mean, log_variance, decoder, pixels;
};

}  // namespace

Model variational_autoencoder() {
  const auto x = draw_pictures().masks.flatten(1);

  const auto model = std::make_shared<Vae>();

  return {model->parameters(), [=](int64_t batch) { return model->loss(rows(x, batch)); }};
}

}  // namespace zoo
