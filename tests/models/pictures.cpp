#include "models/pictures.h"

namespace zoo {

Pictures draw_pictures() {
  const auto row = torch::arange(8).view({1, 8, 1}), column = torch::arange(8).view({1, 1, 8});
  const auto at = torch::randint(1, 7, {kExamples, 1, 1});
  const auto labels = torch::randint(4, {kExamples});
  // Where each direction's bar has its zero line, for every example.
  const auto distances = torch::stack({(row - at).expand({kExamples, 8, 8}),  //
                                       (column - at).expand({kExamples, 8, 8}),
                                       row - column + at - 4,  //
                                       row + column - at - 4});
  const auto distance = distances.index({labels, torch::arange(kExamples)});
  const auto masks = (distance.abs() <= 1).to(torch::kFloat).unsqueeze(1);
  return {masks + 0.7 * torch::randn_like(masks), masks, labels};
}

}  // namespace zoo
