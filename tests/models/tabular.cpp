// A table of two columns of categories and five of numbers: embeddings beside the numbers.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct Tabular : torch::nn::Module {
  Tabular()
      : city(register_module("city", torch::nn::Embedding(20, 4))),
        product(register_module("product", torch::nn::Embedding(8, 3))),
        net(register_module("net",
                            torch::nn::Sequential(torch::nn::Linear(12, 32), torch::nn::ReLU(),
                                                  torch::nn::Linear(32, 1)))) {}

  Tensor forward(const Tensor& cities, const Tensor& products, const Tensor& numbers) {
    const auto row = torch::cat({city->forward(cities), product->forward(products), numbers}, 1);
    return net->forward(row).squeeze(1);
  }

  torch::nn::Embedding city, product;
  torch::nn::Sequential net;
};

}  // namespace

Model tabular() {
  const auto cities = torch::randint(20, {kExamples}), products = torch::randint(8, {kExamples});
  const auto numbers = torch::randn({kExamples, 5});
  const auto y = (torch::randn({20}).index({cities}) + torch::randn({8}).index({products}) +
                      numbers.select(1, 0) * numbers.select(1, 1) >
                  0)
                     .to(torch::kFloat);

  const auto model = std::make_shared<Tabular>();

  return {model->parameters(), [=](int64_t batch) {
            const auto logits =
                model->forward(rows(cities, batch), rows(products, batch), rows(numbers, batch));
            return torch::binary_cross_entropy_with_logits(logits, rows(y, batch));
          }};
}

}  // namespace zoo
