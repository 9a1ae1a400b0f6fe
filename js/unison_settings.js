// What a person can set in ComfyUI's settings dialog. The host keeps the values; the server reads them at its start.

import { app } from "../../scripts/app.js"

app.registerExtension({
  name: "unison.settings",
  settings: [
    {
      id: "Unison.SampleMedia",
      category: ["Unison", "Example workflows", "SampleMedia"],
      name: "Put sample pictures and videos into the input folder",
      tooltip:
        "Small files called unison_... that the example workflows load. Each is copied once, never over a file, and " +
        "one that you delete stays deleted. A change counts from the next start of ComfyUI.",
      type: "boolean",
      defaultValue: true,
    },
  ],
})
