// Points of the same class nearer to each other than to those of another, by a margin.

#include "models/models.h"

namespace zoo {

Model triplet() {
  using namespace torch::nn;
  const auto centers = torch::randn({4, 8});
  const auto kinds = torch::randint(4, {kExamples});
  const auto others = (kinds + torch::randint(1, 4, {kExamples})).remainder(4);
  const auto draw = [&](const Tensor& kind) {
    return centers.index({kind}) + 0.8 * torch::randn({kExamples, 8});
  };
  const auto anchors = draw(kinds), positives = draw(kinds), negatives = draw(others);

  Sequential net(Linear(8, 32), ReLU(), Linear(32, 4));

  return {net->parameters(), [=](int64_t batch) mutable {
            return functional::triplet_margin_loss(net->forward(rows(anchors, batch)),
                                                   net->forward(rows(positives, batch)),
                                                   net->forward(rows(negatives, batch)));
          }};
}

}  // namespace zoo
