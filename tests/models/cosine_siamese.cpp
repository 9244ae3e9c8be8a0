// One network for both of a pair: parallel if they are of a kind, else not.

#include "models/models.h"

namespace zoo {

Model cosine_siamese() {
  using namespace torch::nn;
  const auto centers = torch::randn({4, 8});
  const auto first = torch::randint(4, {kExamples});
  const auto alike = torch::rand({kExamples}) < 0.5;
  const auto second =
      torch::where(alike, first, (first + torch::randint(1, 4, {kExamples})).remainder(4));
  const auto draw = [&](const Tensor& kinds) {
    return centers.index({kinds}) + 0.5 * torch::randn({kExamples, 8});
  };
  const auto a = draw(first), b = draw(second), y = torch::where(alike, 1.0, -1.0);

  Sequential net(Linear(8, 32), ReLU(), Linear(32, 6));

  return {net->parameters(), [=](int64_t batch) mutable {
            return functional::cosine_embedding_loss(net->forward(rows(a, batch)),
                                                     net->forward(rows(b, batch)), rows(y, batch));
          }};
}

}  // namespace zoo
