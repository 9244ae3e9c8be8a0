// Residual blocks with batch normalisation, in training mode as in any training loop.

#include <memory>

#include "models/models.h"
#include "models/pictures.h"

namespace zoo {
namespace {

torch::nn::Conv2d convolution_3x3(int64_t from, int64_t to, int64_t stride = 1) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(from, to, 3).stride(stride).padding(1).bias(false));
}

struct ResidualBlock : torch::nn::Module {
  explicit ResidualBlock(int64_t channels)
      : first(register_module("first", convolution_3x3(channels, channels))),
        first_norm(register_module("first_norm", torch::nn::BatchNorm2d(channels))),
        second(register_module("second", convolution_3x3(channels, channels))),
        second_norm(register_module("second_norm", torch::nn::BatchNorm2d(channels))) {}

  Tensor forward(const Tensor& x) {
    const auto h = torch::relu(first_norm->forward(first->forward(x)));
    return torch::relu(x + second_norm->forward(second->forward(h)));
  }

  torch::nn::Conv2d first;
  torch::nn::BatchNorm2d first_norm;
  torch::nn::Conv2d second;
  torch::nn::BatchNorm2d second_norm;
};

struct ResNet : torch::nn::Module {
  ResNet()
      : stem(register_module("stem", convolution_3x3(1, 8, 2))),
        norm(register_module("norm", torch::nn::BatchNorm2d(8))),
        lower(register_module("lower", std::make_shared<ResidualBlock>(8))),
        upper(register_module("upper", std::make_shared<ResidualBlock>(8))),
        head(register_module("head", torch::nn::Linear(8, 4))) {}

  Tensor forward(const Tensor& x) {
    const auto h = torch::relu(norm->forward(stem->forward(x)));
    return head->forward(upper->forward(lower->forward(h)).amax({2, 3}));
  }

  torch::nn::Conv2d stem;
  torch::nn::BatchNorm2d norm;
  std::shared_ptr<ResidualBlock> lower, upper;
  torch::nn::Linear head;
};

}  // namespace

Model resnet() {
  const auto data = draw_pictures();

  const auto model = std::make_shared<ResNet>();

  return {model->parameters(), [=](int64_t batch) {
            const auto logits = model->forward(rows(data.noisy, batch));
            return torch::cross_entropy_loss(logits, rows(data.labels, batch));
          }};
}

}  // namespace zoo
